# The tutorial's network on a part of MNIST, if it is there.
# Needs: jansson
if [ ! -e "$SOMA_SOURCE/data/mnist/train-images-idx3-ubyte" ]; then
    echo "skipped: data/mnist is not there (scripts/get-data.sh mnist)"
    exit 77
fi
export SOMA_DATA=$SOMA_SOURCE/data
soma train --dataset mnist --hidden 128 --samples 10000 --epochs 3 --batch-size 64 --seed 1 --output m.soma --quiet >result
awk '/^test_acc/ { print ($2 > 0.9 ? "learnt" : "test_acc is only " $2) }' result
soma predict m.soma "$SOMA_DATA/mnist/t10k-images-idx3-ubyte" --samples 3 --top 1 | sed -E 's/^.*: ([0-9]) .*/\1/'
