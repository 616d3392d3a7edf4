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
