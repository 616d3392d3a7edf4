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
