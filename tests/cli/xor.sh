# The configuration of exclusive or, from its file to four right answers and a picture.
# Needs: yaml jansson cairo
source "$SOMA_SOURCE/tests/cli/tiny.bash"
run soma train "$SOMA_SOURCE/examples/xor.yaml" | sed -E 's/^(test_loss: )[0-9.]+e-04$/\1small/; s/^\$.*examples/$ soma train examples/'
ls out
run soma summary out/xor.soma | grep -c Dense
