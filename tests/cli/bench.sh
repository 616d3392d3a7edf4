# Times of steps: what stands in them is the machine's affair, that they add up is ours.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 60 9
soma train --dataset tiny --hidden 8 --epochs 1 --quiet --output m.soma >/dev/null
sum=$(sha256sum m.soma)
export SOMA_THREADS=2
numbers() { sed -E 's/[0-9][0-9.,]* ?([mun]s|s)\b/T/; s/, [0-9,]+ samples/, N samples/; s/[0-9]+ threads? of (avx512|avx2|baseline|neon)/N threads of ISA/'; }
run soma bench m.soma --batch 7 --seconds 0.01 | numbers
run soma bench m.soma --prediction --batch 1 --seconds 0.01 | numbers
soma bench m.soma --dataset tiny --batch 60 --seconds 0.02 --profile --trace trace.json | grep -cE '^  +(1  |all) |^  step|^trace: trace.json$'
soma bench m.soma --dataset tiny --batch 60 --seconds 0.02 --profile --json >bench.json
soma plan m.soma --dataset tiny --batch 60 --training --json >plan.json
python3 - <<'END'
import json
bench, plan, trace = (json.load(open(name + ".json")) for name in ("bench", "plan", "trace"))
steps = bench["steps"]
print([s["text"] for s in steps] == [s["text"] for s in plan["steps"]], sum(s["flops"] for s in steps) == plan["flops"])
print(all(s["seconds"] >= 0 and s["wait"] >= 0 for s in steps), sum(s["seconds"] for s in steps) > 0,
      abs(bench["samples_per_second"] * bench["seconds"] - 60) < 0.01)
print(bench["machine"]["flops"] > 1e8, bench["machine"]["bytes"] > 1e8, bench["training"], bench["batch"])
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
work = [e for e in events if e["cat"] == "step"]
print(sorted({e["args"]["step"] for e in work}) == list(range(1, len(steps) + 1)),
      all(e["dur"] >= 0 and e["ts"] >= 0 for e in events))
ends = {}
for e in events:  # of one thread, in order: none begins before the one before it has ended
    assert e["ts"] >= ends.get(e["tid"], 0) - 0.001, e
    ends[e["tid"]] = e["ts"] + e["dur"]
END
[ "$sum" = "$(sha256sum m.soma)" ] && echo "the model is as it was"
run soma bench m.soma --dataset tiny --seconds 0.01 | numbers
run soma bench m.soma --dataset tiny --batch 61
run soma bench m.soma --trace m.soma/trace.json
run soma bench none.soma
run soma bench
