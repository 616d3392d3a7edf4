# Samples of several arrays and outputs of several layers, by the names that a configuration gives them: what is built,
# trained, resumed, measured and predicted; mistakes with their places.
# Needs: yaml jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
numbers='[[0, 1], [1, 0], [1, 1], [0, 0], [2, 1], [1, 2], [2, 2], [0, 2]]'
rows='[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]]'
kinds='[[1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]'
config() { printf '%s\n' "$@" >net.yaml; }
good=("x: {numbers: $numbers, rows: $rows}" "y: {sum: [[1], [1], [2], [0], [3], [3], [4], [2]], kind: $kinds}" "layers:"
    "  - dense: {units: 4, activation: tanh, inputs: numbers, name: a}" "  - dense: {units: 4, activation: tanh, inputs: rows, name: b}"
    "  - concatenate: {inputs: [a, b], name: joined}" "  - dense: {units: 1, name: sum}"
    "  - dense: {units: 2, activation: softmax, inputs: joined, name: kind}" "loss: {kind: categorical_crossentropy}"
    "loss_weights: {sum: 0.5}" "metrics: {sum: mae, kind: [accuracy]}" "epochs: 30" "batch_size: 4" "seed: 1" "optimizer: {adam: {learning_rate: 0.05}}"
    "test_x: {numbers: $numbers, rows: $rows}" "test_y: {sum: [[1], [1], [2], [0], [3], [3], [4], [2]], kind: $kinds}" "output: net.soma")
config "${good[@]}"
soma summary net.yaml | grep -E 'sum|kind|Total'
soma train net.yaml --quiet | tee said | cut -d: -f1
awk '/^test_kind_accuracy/ && $2 == 1 { print "kinds are told apart" } /^test_sum_mae/ && $2 < 0.5 { print "sums are learned" }' said
awk '/^test_loss/ { all = $2 } /^test_sum_loss/ { sum = $2 } /^test_kind_loss/ { kind = $2 }
    END { d = all - 0.5 * sum - kind; if (d < 0.0002 && d > -0.0002) print "the loss is the weighted sum" }' said
soma train net.yaml --quiet --epochs 10 --output part.soma >/dev/null
soma train net.yaml --quiet --resume part.soma --output part.soma >/dev/null
cmp net.soma part.soma && echo "the same model"
soma info net.soma | grep -o 'training: outputs.*'

# measured and predicted by the order of the arrays
soma evaluate net.soma --x "{n: $numbers, r: $rows}" --y "{s: [[1], [1], [2], [0], [3], [3], [4], [2]], k: $kinds}" | cut -d: -f1
soma predict net.soma --x "{n: $numbers, r: $rows}" --samples 2 | sed -E 's/[0-9.-]+( %|$)/N\1/g'
soma predict net.soma --x "{n: $numbers, r: $rows}" --samples 1 --json | cut -d'[' -f1
soma plan net.soma --training | grep -q contract && echo "it has a plan"
run soma predict net.soma tiny/train-images-idx3-ubyte

mistake() { # line, its new text
    local lines=("${good[@]}")
    lines[$1]=$2
    config "${lines[@]}"
    run soma train net.yaml --quiet
}
mistake 0 "x: {numbers: $numbers, rows: [[1, 0, 0]]}"
mistake 1 "y: {sum: [[1], [1], [2], [0], [3], [3], [4], [2]], kin: $kinds}"
mistake 3 "  - dense: {units: 4, activation: tanh, inputs: number, name: a}"
mistake 3 "  - input: {name: numbers}"
mistake 5 "  - concatenate: {inputs: [a, a], name: joined}"
mistake 8 "loss: {kinds: categorical_crossentropy}"
mistake 8 "loss: {kind: categorical_crosentropy}"
mistake 9 "loss_weights: {sum: much}"
mistake 10 "metrics: {sun: mae}"
mistake 15 "test_x: {numbers: $numbers}"
mistake 16 "test_y: {kind: $kinds, sum: [[1], [1], [2], [0], [3], [3], [4], [2]]}"
