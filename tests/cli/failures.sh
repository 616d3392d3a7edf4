# Failures while running: exit code 1 for a full disk, 4 for a loss that is no number; nothing is half-written.
# Needs: jansson yaml
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
flags="--dataset tiny --epochs 2 --seed 1 --quiet"
run soma train $flags --output /dev/full
run soma train $flags --output tiny
run soma train $flags --output tiny/train-labels-idx1-ubyte/m.soma
diverging="--layers [flatten,{'dense':1}] --loss mse --optimizer sgd --learning-rate 1e30"
run soma train $flags $diverging --output m.soma
soma train $flags --output old.soma >/dev/null
before=$(cksum <old.soma)
run soma train $flags $diverging --output old.soma
[ "$before" = "$(cksum <old.soma)" ] && echo "the old model is as it was"
code=0
soma version >/dev/full || code=$?
echo "exit code $code"
ls
run soma train $flags --callbacks '{model_checkpoint: /dev/full}' --output m.soma
run soma train $flags --callbacks '{csv_logger: tiny}' --output m.soma
run soma train $flags --callbacks '{csv_logger: /dev/full}' --output m.soma
run soma train $flags --callbacks '{tensorboard: {log_dir: old.soma}}' --output m.soma 2>&1 | sed 's/events[^:]*/EVENTS/'
run soma train --quiet --x '[[1e38], [-1e38]]' --y '[[1e38], [3]]' --output m.soma

# samples to test with that are not like those to train on: found before the training, so that no model is written
rm -f m.soma
tiny one 12 6
bytes <<<"0 0 8 1 0 0 0 6 0 1 2 0 1 7" >one/t10k-labels-idx1-ubyte
run soma train --quiet --dataset one --hidden 4 --output m.soma
run soma train $flags --test-x one/t10k-labels-idx1-ubyte --test-y one/t10k-labels-idx1-ubyte --output m.soma
run soma train --quiet --x '[[1],[2],[3]]' --test-x '[[1],[2]]' --output m.soma --y '[[1],[2],[3]]' --test-y '[[1,2],[3,4]]'
ls m.soma 2>/dev/null || echo "no model was written"

# numbers that are none, and which sample has them; indices, shapes and weights that do not fit
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n\x00\x3c\x00\x7e\x00\x40' "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }" >half.npy
run soma info half.npy
run soma train --quiet --x half.npy --y '[1, 2, 3]' --output m.soma
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n\x01\x00\xff\xff' "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }" >unsigned.npy
run soma info unsigned.npy
run soma info unsigned.npy --json
run soma train --quiet --x '[1, 2, 3]' --y '[0, 2, 5]' --layers '[{embedding: {input_dim: 3, output_dim: 2}}, flatten, {dense: 1}]' --output m.soma
run soma train --quiet --x '[[1, 2], [3, 4]]' --y '[1, 2]' --layers '[{reshape: [3]}]' --output m.soma
run soma train $flags --class-weight '[1, 2]' --output m.soma

# a checkpoint's folder is made
run soma train $flags --hidden 4 --callbacks '{model_checkpoint: "new/{epoch:02d}/c.soma"}' --output m.soma
ls new/*/c.soma

# what is not a number has no sign, and what is small is not 0
printf '\x93NUMPY\x01\x00\x46\x00%-69s\n\x00\x00\x80\x7f\x00\x00\x80\x7f' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }" >infinite.npy
run soma train --quiet --x '[[1, 0], [0, 1]]' --y '[1e-5, 0]' --layers '[{dense: {units: 1, kernel_initializer: zeros}}, {activation: tanh}]' --epochs 1 --optimizer sgd --output m.soma
run soma evaluate m.soma --x '[[1, 0], [0, 1]]' --y '[1e-5, 0]'
soma info m.soma | grep history
run soma train --quiet --x '[[1, 0], [0, 1]]' --y '[0, 1]' --hidden 2 --epochs 1 --output m.soma
run soma predict m.soma infinite.npy

# a file may not grow as large as it must, said like a full disk
(ulimit -f 100; run soma train --quiet --x '[[1, 0], [0, 1]]' --y '[0, 1]' --hidden 20000 --epochs 1 --output large.soma)
ls large.soma 2>/dev/null || echo "no file was left"

# a log may not grow either: the training ends, its model stays, and goes on
again=$(ulimit -f 60; soma train --quiet --x '[[1, 0], [0, 1]]' --y '[0, 1]' --hidden 2 --epochs 9999 --callbacks '{csv_logger: log.csv}' --output kept.soma 2>&1 | tee kept.log | sed -n 's/^Go on by: //p') || true
sed -E 's/epoch [0-9]+/epoch N/; s/^(Go on by: ).* (--resume.*)/\1... \2/' kept.log
rm log.csv
epochs=$(soma info kept.soma | sed -nE 's/.*loss.* ([0-9]+) epochs/\1/p' | head -n 1)
eval "$again --epochs $((epochs + 1))"

# what comes from a pipe is read as a file is, once
run soma info - <infinite.npy
cat infinite.npy | run soma predict m.soma -
mkfifo pipe.npy
cat infinite.npy >pipe.npy &
run soma predict m.soma pipe.npy
cat unsigned.npy | run soma train --quiet --x - --y '[1, 2]' --epochs 1 --loss mse --layers '[{dense: 1}]' --output n.soma
run soma predict m.soma - </dev/null
echo '\x93NUMP' | run soma predict m.soma -
