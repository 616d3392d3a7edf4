# From data to a model and its use: training with a line of JSON an epoch, evaluation, prediction.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
export SOMA_ISA=baseline
tiny tiny 60 9
flags="--dataset tiny --hidden 8 --batch-size 8 --learning-rate 0.01 --seed 1 --output deep/er/m.soma"
run soma train $flags --epochs 3 --json --quiet | steady
run soma train $flags --epochs 2 --validation-split 0.2 2>&1 | steady
run soma train $flags --epochs 1 --progress json 2>&1 | steady
run soma train $flags --epochs 1 --validate-on-test --progress none --json | steady
run soma train $flags --epochs 5 --quiet
run soma evaluate deep/er/m.soma --dataset tiny
run soma evaluate deep/er/m.soma --dataset tiny --part train --samples 7 --json | steady
run soma predict deep/er/m.soma tiny/t10k-images-idx3-ubyte --samples 3 --top 2 | steady
run soma predict deep/er/m.soma tiny/t10k-images-idx3-ubyte --samples 2 --json | sed -E 's/("probability": [0-9]\.[0-9])[0-9e-]*/\1/g'
echo "same seed, same bytes, whatever the threads:"
for threads in 1 2 3; do soma train $flags --epochs 2 --quiet --threads "$threads" --output "m$threads.soma" >/dev/null; done
cmp m1.soma m2.soma && cmp m1.soma m3.soma && echo yes
echo "one file in two halves:"
soma train $flags --epochs 2 --quiet --output half.soma >/dev/null
run soma train $flags --epochs 4 --quiet --json --resume half.soma | grep -o '"epoch": [0-9]*'
