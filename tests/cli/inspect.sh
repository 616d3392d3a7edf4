# Files and plans looked into: info, summary and plan, as text and as JSON.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
soma train --dataset tiny --hidden 8 --epochs 2 --quiet --output m.soma >/dev/null
run soma info m.soma | sed -E 's/at byte [0-9]+/at byte N/; s/safetensors, .*/safetensors/; s/[0-9.]+ \.\.\. [0-9.]+/A ... B/'
run soma info tiny/train-images-idx3-ubyte tiny/train-labels-idx1-ubyte
run soma info tiny/train-images-idx3-ubyte --json
python3 - <<'END'
import struct
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }".ljust(117) + "\n"
with open("number.npy", "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<f", 3.5))
END
run soma info number.npy
run soma info number.npy --json
run soma summary m.soma --json
run soma plan m.soma --batch 4 | sed -n 1,4p | sed -E 's/[0-9]+ steps/N steps/'
soma plan m.soma --batch 4 --training | grep -cE '^  +(1  |total) |^Peak memory'
soma info m.soma --json >info.json
soma plan m.soma --json --training --batch 7 >plan.json
python3 - <<'END'
import json
info, plan = json.load(open("info.json")), json.load(open("plan.json"))
tensors = {t["name"]: t for t in info["tensors"]}
print(tensors["dense/kernel"]["shape"], info["metadata"]["training"]["loss"])
print(sum(s["flops"] for s in plan["steps"]) == plan["flops"] > 2 * 7 * 16 * 8, plan["batch"], plan["training"])
END
run soma train --dataset tiny --hidden 8 --dry-run --json | sed -E 's/("(steps|flops|scratch_bytes)": )[0-9]+/\1N/g'
