# Pictures: each kind in each format, whole or not there.
# Needs: cairo jansson png yaml
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
soma train --dataset tiny --hidden 2 --epochs 3 --quiet --json --output m.soma --plots pictures >log.jsonl
ls pictures
run soma plot digits tiny --count 25
run soma plot digits tiny --part train --from 50 -o digits.svg
run soma plot curves m.soma -o curves.png
run soma plot curves log.jsonl -o curves.pdf
run soma plot curves log.jsonl -o curves.svg --json
printf '%s\n' "dataset: tiny" "layers: [flatten, {dense: {units: 5, name: a}}, {dense: {units: 5, name: b}}, {add: {inputs: [a, b], name: both}}, {dense: {units: 3, name: last}}]" >net.yaml
run soma plot network net.yaml -o network.png
run soma plot network m.soma -o network.svg
run soma plot network log.jsonl
run soma plot confusion m.soma --dataset tiny -o confusion.png
run soma plot mistakes m.soma --dataset tiny --part train -o mistakes.png
for picture in out/tiny-digits.png curves.png network.png confusion.png; do soma info "$picture"; done
head -c 5 curves.pdf && echo
grep -c '<svg' digits.svg
run soma plot digits tiny --from 60
run soma plot confusion m.soma
run soma plot digits tiny -o digits.bmp
run soma plot digits tiny -o tiny/train-labels-idx1-ubyte/x.png
printf '{"epoch": 1, "loss": 2}\n{"epoch": 2, "loss": 1\n' >broken.jsonl
run soma plot curves broken.jsonl -o broken.png
ls
