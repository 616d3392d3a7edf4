# Limits of memory: what is computed again, what does not fit, the same model as without, from flags, files and the environment.
# Needs: jansson yaml
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
cat >deep.yaml <<'END'
dataset: tiny
layers:
  - flatten
  - {dense: {units: 300, activation: gelu}}
  - layer_normalization
  - {dense: {units: 300, activation: gelu}}
  - layer_normalization
  - {dense: {units: 300, activation: gelu}}
  - {dropout: 0.2}
  - {dense: {units: 10, activation: softmax}}
batch_size: 50
epochs: 2
seed: 3
END
soma train deep.yaml --threads 1 --quiet --output free.soma >/dev/null
needed() { soma plan deep.yaml --batch 50 --training --threads 1 "$@" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["memory_bytes"])'; }
whole=$(needed)
limit=$((whole - 250000))
soma train deep.yaml --threads 1 --quiet --memory $limit --output limited.soma >/dev/null
cmp free.soma limited.soma && echo same model
SOMA_MEMORY=$limit soma train deep.yaml --threads 1 --quiet --output limited.soma >/dev/null
cmp free.soma limited.soma && echo same model
(cat deep.yaml; echo "memory: ${limit}B") >limited.yaml
soma train limited.yaml --threads 2 --quiet --output limited.soma >/dev/null
cmp free.soma limited.soma && echo same model
[ "$(needed --memory $limit)" -le $limit ] && echo "it keeps to the limit"
soma plan deep.yaml --batch 50 --training --threads 1 --memory $limit | grep -cE '^To keep to .* steps compute again what was not kept: .* flop, .* more$'
soma plan deep.yaml --batch 50 --training --threads 1 --memory $limit | grep -qE "^ .* again: " && echo "and says which steps"
tiny many 12 500
soma evaluate free.soma --dataset many --threads 1 >free.txt
soma evaluate free.soma --dataset many --threads 1 --memory 1.2MB >limited.txt
cmp free.txt limited.txt && echo "measured in smaller batches"
run soma evaluate free.soma --dataset many --threads 1 --memory 200kB 2>&1 | sed -E 's/[0-9.]+ (k|M)B/N MB/g'
numbers() { sed -E 's/[0-9.]+ (k|M)B/N MB/g'; }
run soma train deep.yaml --memory 2MB --output out/none.soma --callbacks '[{csv_logger: out/log.csv}]' 2>&1 | numbers
find out -type f | wc -l
run soma plan deep.yaml --batch 50 --training --memory 2MB 2>&1 | numbers
run soma train deep.yaml --memory much
run soma train deep.yaml --memory 5XB
(cat deep.yaml; echo "memory: [3]") >wrong.yaml
run soma train wrong.yaml
sed -i 's/\[3\]/lots/' wrong.yaml
run soma train wrong.yaml
SOMA_MEMORY=some run soma plan deep.yaml
