# Configurations: keys as options, flags over them, mistakes with file, line and what was meant.
# Needs: yaml jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
config() { printf '%s\n' "$@" >net.yaml; }
good=("dataset: tiny" "layers:" "  - flatten" "  - dense: {units: 8, activation: relu}" "  - dense: 3" "  - activation: softmax"
    "optimizer:" "  adam: {learning_rate: 0.02}" "metrics: [accuracy]" "batch_size: 8" "epochs: 4" "seed: 1"
    "output: net.soma")

config "${good[@]}"
run soma train net.yaml --quiet --json --epochs 2 | steady
soma info net.soma | grep -E 'layer|optimizer:|epochs' | grep -v tensors
run soma train net.yaml --quiet --learning-rate 0.5 --optimizer sgd --output other.soma
soma info other.soma | grep -o '"sgd", "config": {"learning_rate": [0-9.]*'
run soma train net.yaml --hidden 5 --dry-run | sed -E 's/, [0-9]+ threads.*//; s/: [0-9]+ steps.*//'
run soma summary net.yaml
printf '%s\n' "${good[@]}" | run soma train - --quiet --output stdin.soma
ls

run soma train none.yaml
config "dataset: tiny" "epoch: 3"
run soma train net.yaml
printf 'dataset: tiny\nlayers:\n\t- flatten\n' >net.yaml
run soma train net.yaml --quiet
config "dataset: tiny" "epochs: three"
run soma train net.yaml
config "dataset: tiny" "epochs: [3]"
run soma train net.yaml
config "dataset: tiny" "shuffle: perhaps"
run soma train net.yaml
config "dataset: tiny" "dataset: tiny"
run soma train net.yaml
config "dataset: tiny" "layers: [1, 2"
run soma train net.yaml
config "- dataset"
run soma train net.yaml
config ""
run soma train net.yaml
config "epochs: 3"
run soma train net.yaml
config "dataset: tiny" "x: a.npy" "y: b.npy"
run soma train net.yaml
config "dataset: tiny" "layers:" "  - flatten" "  - dense:" "      units: 3" "      activaton: softmax"
run soma train net.yaml
config "dataset: tiny" "layers:" "  - flatten" "  - dens: 3"
run soma train net.yaml
config "dataset: tiny" "layers:" "  - flatten" "  - dense: {units: -3}"
run soma train net.yaml
config "dataset: tiny" "epochs: 3" "optimizer: adm"
run soma train net.yaml
config "dataset: tiny" "loss: mean_square_error"
run soma train net.yaml
config "x: [[0, 0], [0]]" "y: [1, 0]"
run soma train net.yaml
config "x: [[0, 0], [0, 1]]" "y: [1]"
run soma train net.yaml

# everything with options, and what is wrong in the midst of it
full=("dataset: tiny" "layers:" "  - flatten" "  - dense: {units: 8, activation: relu, kernel_regularizer: {l2: 0.01}}"
    "  - dense: {units: 3, activation: softmax, kernel_constraint: {max_norm: {max_value: 2}}}" "optimizer:"
    "  adam: {learning_rate: {cosine_decay: {initial_learning_rate: 0.02, decay_steps: 40}}, clipnorm: 1}"
    "loss: {categorical_focal_crossentropy: {gamma: 3}}" "metrics:" "  - precision: {class_id: 2, name: last_precise}"
    "  - auc: {curve: PR, num_thresholds: 50}" "class_weight: {2: 1.5}" "callbacks:"
    "  - early_stopping: {monitor: loss, patience: 3}" "  - csv_logger: {filename: log.csv, separator: ;}"
    "  - tensorboard: {update_freq: batch}" "epochs: 2" "seed: 1" "batch_size: 20" "output: full.soma")
full[7]="loss: sparse_categorical_crossentropy"
config "${full[@]}"
run soma train net.yaml --quiet | grep -c last_precise
head -n 1 log.csv
ls logs
soma info full.soma | grep -o '"precision": {[^}]*}'
mistake() { # line, its new text
    local lines=("${full[@]}")
    lines[$1]=$2
    config "${lines[@]}"
    run soma train net.yaml --quiet
}
mistake 3 "  - dense: {units: 8, kernel_regularizer: {l3: 0.01}}"
mistake 6 "  adam: {learning_rate: {cosine_decai: {decay_steps: 40}}}"
mistake 6 "  adam: {clipnorn: 1}"
mistake 6 "  adam: {clipnorm: -1}"
mistake 7 "loss: {huber: {delta: one}}"
mistake 7 "loss: {hubber: {delta: 1}}"
mistake 9 "  - precision: {class: 2}"
mistake 10 "  - auk"
mistake 11 "class_weight: {3: 1.5}"
mistake 11 "class_weight: [1, many, 1]"
mistake 13 "  - early_stoping: {patience: 3}"
mistake 13 "  - early_stopping: {monitor: loss, patience: many}"
mistake 13 "  - early_stopping: {monitor: happiness}"
mistake 14 "  - csv_logger: {file: log.csv}"

# weights of samples: those that count nothing might as well say anything
points=("x: [[0], [1], [2], [3]]" "y: [[1], [3], [5], [99]]" "layers: [{dense: 1}]" "loss: mse" "metrics: []" "epochs: 60"
    "optimizer: {sgd: {learning_rate: 0.1}}" "test_x: [[4], [5]]" "test_y: [[9], [0]]" "output: line.soma")
config "${points[@]}" "sample_weight: [1, 1, 1, 0]" "test_sample_weight: [1, 0]"
soma train net.yaml --quiet | sed -E 's/(loss: [0-9.]{3}).*/\1/'
run soma evaluate line.soma --x '[[4], [5]]' --y '[[9], [0]]' --sample-weight '[1, 0]' | sed -E 's/(loss: [0-9.]{3}).*/\1/'
run soma evaluate line.soma --x '[[4], [5]]' --y '[[9], [0]]' --sample-weight '[1]'
config "${points[@]}" "initial_epoch: 58" "validation_split: 0.5" "validation_batch_size: 1"
soma train net.yaml 2>&1 | grep -c Epoch
config "${points[@]}" "sample_weight: [1, 1, 1]"
run soma train net.yaml --quiet
config "${points[@]}" "sample_weight: [[1, 2], [1, 1], [1, 1], [1, 1]]"
run soma train net.yaml --quiet
config "${points[@]}" "sample_weight: weights.npy"
run soma train net.yaml --quiet
config "${points[@]}" "initial_epoch: 60"
run soma train net.yaml --quiet

# what only shows once layers, loss, labels and callbacks are together: each has its line
points=("x: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.1], [0.9, 0.3]]" "y: [0, 1, 2, 1]" "layers:" "  - dense: 4" "  - dense: {units: 3, activation: softmax}"
    "loss: sparse_categorical_crossentropy" "metrics: [accuracy]" "callbacks: []" "epochs: 1")
together() { # line, its new text
    local lines=("${points[@]}")
    lines[$1]=$2
    config "${lines[@]}"
    run soma train net.yaml --quiet
}
together 4 "  - conv_2d: {filters: 3, kernel_size: 3}"
together 4 "  - dense: {units: 2, activation: softmax}"
together 5 "loss: mse"
together 5 "loss: {mse: {delta: 1}}"
together 5 "loss: [mse]"
together 6 "metrics: [[accuracy]]"
together 6 "metrics: [{precision: {class_id: 7}}]"
together 6 "metrics: [{f1_score: {average: mean}}]"
together 7 "callbacks: [{early_stopping: {patience: 3}}]"
together 7 "callbacks: [{early_stopping: {monitor: acc, mode: max}}]"
together 1 "y: [0, 1, 2, 1.5]"
together 1 "y: [0, 1, 3, 1]"

# a flag that wins over the file is named where it is wrong
config "${points[@]}"
run soma train net.yaml --quiet --loss msee
run soma train net.yaml --quiet --loss mse
run soma train net.yaml --quiet --optimizer '{adam: {beta: 1}}'
run soma train net.yaml --quiet --layers '[{dens: 2}]'
run soma train net.yaml --quiet --layers '[]'
run soma train net.yaml --quiet --class-weight '{a: 1}'
run soma train --quiet --x '[[1, 2], [3]]' --y '[0, 1]'
run soma train --quiet --x '[[1], [2], [3]]' --y '[0, 1, -1]' --loss sparse_categorical_crossentropy

# the last layer is what the loss takes
last() { # labels, loss
    run soma train --quiet --x '[[1], [2], [3]]' --y "$1" --hidden 2 --loss "$2" --epochs 1 --metrics acc --output last.soma
    soma info last.soma | grep "name dense_1"
}
last '[0, 1, 1]' bce
last '[0, 1, 1]' '{binary_crossentropy: {from_logits: true}}'
last '[0, 1, 1]' mse
last '[0, 0, 0]' sparse_categorical_crossentropy
last '[[0, 1], [1, 0], [0, 1]]' categorical_crossentropy
run soma train --quiet --x '[[1], [2]]' --y '[3, 1e12]' --loss sparse_categorical_crossentropy
run soma train --quiet --x '[[], []]' --y '[0, 1]'

# hidden layers are wrong where they are written
config "x: [[1], [2]]" "y: [0, 1]" "hidden: [4, many]"
run soma train net.yaml
config "x: [[1], [2]]" "y: [0, 1]" "hidden: {units: 4}"
run soma train net.yaml
run soma train --quiet --x '[[1], [2]]' --y '[0, 1]' --hidden 4,0
config "x: [[1], [2]]" "y: [0, 1]" "help: true"
run soma train net.yaml
config "x: [[1], [2]]" "y: [0, 1]" "optimizer: {adam: {beta_1: 1}}"
run soma train net.yaml

# options that are not indented below their layer
config "x: [[1], [2]]" "y: [0, 1]" "layers:" "  - flatten" "  - dense:" "    units: 2"
run soma train net.yaml
