# Ctrl-C: the batch is finished, the model saved, and a command says how to go on; that command does.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
: >log
soma train --dataset tiny --hidden 8 --epochs 100000000 --output 'my model.soma' 2>>log &
for _ in $(seq 600); do
    grep -q step log && break
    sleep 0.1
done
kill -INT $!
code=0
wait $! || code=$?
echo "exit code $code"
grep -Ev 'step|^Epoch' log | tail -n 3 | sed -E 's/epoch [0-9]+/epoch N/'
soma info 'my model.soma' | grep -c history
again=$(sed -n 's/^Go on by: //p' log)
epochs=$(soma info 'my model.soma' | sed -nE 's/.*loss.* ([0-9]+) epochs/\1/p')
eval "$again --epochs $((epochs + 1)) --quiet" | grep -v loss | sed -E 's|^(test_acc: ).*|\1N|'

# the end of the terminal, of which the kernel and the shell both tell
: >log
soma train --dataset tiny --hidden 8 --epochs 100000000 --output hung-up.soma 2>>log &
for _ in $(seq 600); do
    grep -q step log && break
    sleep 0.1
done
kill -HUP $! $!
code=0
wait $! || code=$?
echo "exit code $code"
soma info hung-up.soma | grep -c history

# interrupted in the middle of an epoch, wherever that was, and gone on with: the same bytes as without
tiny many 600 9
flags="--dataset many --hidden 16 --dropout 0.2 --batch-size 1 --optimizer adam --seed 3"
soma train $flags --epochs 30 --output whole.soma --quiet >/dev/null
: >log
soma train $flags --epochs 30 --output part.soma --progress line >/dev/null 2>>log &
for _ in $(seq 600); do
    grep -q step log && break
    sleep 0.01
done
kill -INT $! 2>/dev/null || true
wait $! || true
if grep -q 'Go on by' log; then
    soma train $flags --epochs 30 --output part.soma --quiet --resume part.soma >/dev/null
fi
cmp whole.soma part.soma && echo "the same model"
