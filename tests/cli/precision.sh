# Mixed precision: by flag and by file, in the model, resumed, less memory in the plan, and what is no precision.
# Needs: jansson yaml
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 300 9
cat >wide.yaml <<'EOF'
dataset: tiny
hidden: [600, 600]
batch_size: 300
epochs: 2
seed: 3
EOF
(cat wide.yaml; echo "precision: mixed_bfloat16") >mixed.yaml
soma train mixed.yaml --threads 1 --quiet --output file.soma >/dev/null
soma train wide.yaml --precision mixed_bfloat16 --threads 2 --quiet --output flag.soma >/dev/null
cmp file.soma flag.soma && echo same model
soma train mixed.yaml --precision float32 --quiet --output float32.soma >/dev/null
soma train wide.yaml --quiet --output none.soma >/dev/null
cmp float32.soma none.soma && echo same model
cmp -s file.soma none.soma || echo another model
soma info file.soma | grep precision
soma info none.soma | grep -c precision || true
soma train mixed.yaml --epochs 1 --quiet --output half.soma >/dev/null
soma train mixed.yaml --resume half.soma --quiet --output half.soma >/dev/null
cmp file.soma half.soma && echo resumed to the same model
needed() { soma plan "$@" --batch 300 --training --threads 1 --json | python3 -c 'import json, sys; p = json.load(sys.stdin); print(p["scratch_bytes"], p["bfloat16_bytes"])'; }
needed wide.yaml >wide.txt
needed mixed.yaml >mixed.txt
python3 -c 'a, b = (list(map(int, open(n).read().split())) for n in ("wide.txt", "mixed.txt")); print(b[0] < 0.7 * a[0], a[1], b[1] > 1e6)'
soma plan mixed.yaml --batch 300 --training | grep -cE '^Stored as bfloat16, all together: .*MB, half of what they are as float32$'
soma plan wide.yaml --batch 300 --training | grep -c bfloat16 || true
run soma train wide.yaml --precision mixed_bfloat61
(cat wide.yaml; echo "precision: mixed_float16") >wrong.yaml
run soma train wrong.yaml
