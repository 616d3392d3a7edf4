# The start page and every verb's help.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
run soma
run soma --help
for verb in train evaluate predict summary info plan plot data version; do
    run soma "$verb" --help
done
