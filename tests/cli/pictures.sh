# Prediction from PNG pictures: as they are, and turned to what the model knows.
# Needs: png jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
soma train --dataset tiny --hidden 16 --epochs 20 --learning-rate 0.01 --quiet --output m.soma >/dev/null
python3 "$SOMA_SOURCE/tests/cli/png.py"
first() { sed -E 's/ [0-9.]+ %.*//'; }
run soma predict m.soma same.png | first
run soma predict m.soma large.png --fit frame 2>&1 | first
run soma predict m.soma paper.png --fit frame 2>&1 | first
run soma predict m.soma paper.png --fit frame --quiet | first
run soma predict m.soma large.png 2>&1 | first
run soma predict m.soma empty.png
run soma predict m.soma cut.png
run soma info same.png large.png
