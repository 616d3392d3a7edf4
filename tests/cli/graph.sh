# Networks that branch and join, from a configuration: what is built, that it trains, resumes and is read again; that a
# chain said by its names is the same chain; mistakes with their places.
# Needs: yaml jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
config() { printf '%s\n' "$@" >net.yaml; }
good=("dataset: tiny" "layers:" "  - input: {name: picture}" "  - lstm: {units: 4, return_sequences: true, return_state: true, name: rows}"
    "  - gru: {units: 4, return_sequences: true, inputs: [picture, rows:1], name: again}" "  - attention: {inputs: [again, rows]}"
    "  - dense: {units: 3, name: head}" "  - call: {layer: head, inputs: rows, name: second}" "  - add: {inputs: [head, second]}"
    "  - flatten" "  - dense: {units: 3, activation: softmax}" "epochs: 3" "batch_size: 8" "seed: 1" "optimizer: adam" "output: net.soma")
config "${good[@]}"
run soma summary net.yaml
soma train net.yaml --quiet | tail -n 1
soma summary net.soma | grep -E 'head|rows|Trainable'
soma train net.yaml --quiet --epochs 1 --output part.soma >/dev/null
soma train net.yaml --quiet --resume part.soma --output part.soma >/dev/null
cmp net.soma part.soma && echo "the same model"

# one behind the other, said and unsaid
config "dataset: tiny" "layers: [flatten, {dense: {units: 5, activation: tanh}}, {dense: {units: 3, activation: softmax}}]" "epochs: 2"
soma train net.yaml --quiet --output chain.soma >said
config "dataset: tiny" "layers:" "  - {flatten: {inputs: input, name: a}}" "  - dense: {units: 5, activation: tanh, inputs: [a], name: b}" \
    "  - {class_name: Dense, config: {units: 3, activation: softmax, inputs: b}}" "epochs: 2"
soma train net.yaml --quiet --output chain.soma | cmp - said && echo "the same chain"

# a network within the network, taken twice; a list is enough where it needs no name
inner=("dataset: tiny" "layers:" "  - flatten" "  - sequential: {name: encoder, layers: [{dense: {units: 16, activation: tanh}}, {dropout: 0.25}, {dense: 16}]}"
    "  - call: {layer: encoder, inputs: encoder, name: again}" "  - add: {inputs: [encoder, again]}"
    "  - sequential: [{dense: {units: 4, activation: tanh}}, {dense: {units: 3, activation: softmax}}]" "epochs: 2" "seed: 1" "output: inner.soma")
config "${inner[@]}"
run soma summary net.yaml
soma train net.yaml --quiet | tail -n 1
soma summary inner.soma | grep -c '(Dense)'

mistake() { # line, its new text
    local lines=("${good[@]}")
    lines[$1]=$2
    config "${lines[@]}"
    run soma train net.yaml --quiet
}
mistake 2 "  - input: {input_shape: [4, -4], name: picture}"
mistake 2 "  - input: {input_shape: [4, 5], name: picture}"
mistake 4 "  - gru: {units: 4, return_sequences: true, inputs: [pictures, rows:1], name: again}"
mistake 4 "  - gru: {units: 4, return_sequences: true, inputs: [picture, rows:7], name: again}"
mistake 4 "  - gru: {units: 4, return_sequences: true, inputs: [picture, rows:one], name: again}"
mistake 4 "  - gru: {units: 4, return_sequences: true, inputs: [{picture: 1}], name: again}"
mistake 4 "  - gru: {units: 5, return_sequences: true, inputs: [picture, rows:1], name: again}"
mistake 5 "  - attention: {inputs: []}"
mistake 5 "  - attention: {inputs: [again, rows], name: again}"
mistake 5 "  - attention: {inputs: [again, rows], use_scala: true}"
mistake 5 "  - input: [4, 4]"
mistake 7 "  - call: {layer: haed, inputs: rows, name: second}"
mistake 7 "  - call: {inputs: rows, name: second}"
mistake 7 "  - call: {layer: head, inputs: rows, nam: second}"
mistake 8 "  - add: {inputs: [head]}"
mistake 8 "  - add: {inputs: [head, again]}"
mistake 8 "  - dense: {units: 3, inputs: head}"
good=("${inner[@]}")
mistake 3 "  - sequential: {name: encoder, layers: [{dense: {units: 16, activation: tahn}}]}"
mistake 3 "  - sequential: {name: encoder, layers: []}"
mistake 3 "  - sequential: {name: encoder, layer: [{dense: 16}]}"
mistake 3 "  - sequential: {name: encoder, layers: [{conv_2d: {filters: 2, kernel_size: 3}}]}"
mistake 4 "  - call: {layer: decoder, inputs: encoder, name: again}"
