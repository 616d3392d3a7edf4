# Bad input: exit code 3, the file, the byte where it helps, the way out.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
train() { run soma train --quiet --hidden 4 --epochs 1 --output m.soma "$@"; }

train --dataset mnits
SOMA_DATA=/nowhere train --dataset mnist
mkdir empty
train --dataset empty

copy() { # name: a copy of the training pair to be spoilt
    cp tiny/train-images-idx3-ubyte "$1-images-idx3-ubyte"
    cp tiny/train-labels-idx1-ubyte "$1-labels-idx1-ubyte"
}
copy truncated && head -c 500 tiny/train-images-idx3-ubyte >truncated-images-idx3-ubyte
train --dataset truncated
copy header && head -c 7 tiny/train-images-idx3-ubyte >header-images-idx3-ubyte
train --dataset header
copy longer && echo more >>longer-labels-idx1-ubyte
train --dataset longer
copy counts && cp tiny/t10k-labels-idx1-ubyte counts-labels-idx1-ubyte
train --dataset counts
copy magic && echo "this is no IDX file" >magic-images-idx3-ubyte
train --dataset magic
copy alone && rm alone-labels-idx1-ubyte
train --dataset alone
train --x tiny/train-images-idx3-ubyte --y tiny/t10k-labels-idx1-ubyte
train --x tiny/train-images-idx3-ubyte --y nowhere.npy
run soma train --quiet --dataset tiny --layers '[flatten, {dense: {units: 2, activation: softmax}}]' --output m.soma
ls -d m.soma 2>/dev/null || echo "no model was written"

run soma train --quiet --dataset tiny --hidden 4 --epochs 1 --output m.soma
run soma evaluate none.soma --dataset tiny
run soma evaluate magic-images-idx3-ubyte --dataset tiny
head -c 1000 m.soma >cut.soma
run soma evaluate cut.soma --dataset tiny 2>&1 | sed -E 's/to byte [0-9]+/to byte N/'
run soma info cut.soma
run soma predict m.soma magic-images-idx3-ubyte
run soma predict m.soma tiny/t10k-labels-idx1-ubyte
run soma train --dataset tiny --resume m.soma --epochs 1
run soma info none.npy
run soma plot curves magic-images-idx3-ubyte

# files that are none of those that are known
: >nothing.npy
printf 'PK\3\4 and so on' >arrays.npz
for file in nothing.npy arrays.npz; do
    run soma info $file
    run soma predict m.soma $file
    run soma train --quiet --x $file --y '[1]' --output m.soma
done
