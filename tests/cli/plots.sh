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

# many quantities stand in rows, one epoch has one tick; letters are counted where numbers would be long
panels() { # quantities, their value, epochs
    awk -v n="$1" -v value="$2" -v epochs="$3" 'BEGIN {
        for (e = 1; e <= epochs; e++) {
            printf "{\"epoch\": %d, \"epochs\": %d", e, epochs
            for (i = 1; i <= n; i++) printf ", \"quantity_%d\": %s", i, value
            print "}"
        }
    }' >panels.jsonl
}
for n in 1 2 3 4 7; do
    panels $n 0.5 3
    soma plot curves panels.jsonl -o panels.png >panels.txt
    soma info panels.png
done
letters() { # of the picture of one quantity
    panels 1 "$1" "$2"
    soma plot curves panels.jsonl -o panels.svg >panels.txt
    grep -c '<use' panels.svg
}
for value in 0.5 1 1000000 1000000000000 0.000000001; do letters $value 3; done
letters 0.5 1
tiny wide 60 28
cp wide/train-images-idx3-ubyte broad-images-idx3-ubyte
{ echo "0 0 8 1 0 0 0 60"; seq 0 59 | awk '{ print $1 % 14 }'; } | bytes >broad-labels-idx1-ubyte
soma train --dataset broad --hidden 2 --epochs 1 --quiet --output wide.soma >panels.txt || cat panels.txt
soma plot confusion wide.soma --dataset broad -o wide.png >panels.txt && soma info wide.png
