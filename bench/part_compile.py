# What the compiler costs: the plans of the GPT's and the ResNet's training steps by the clock, and of graphs of 10,000 and
# 100,000 nodes in CPU time, pass by pass. Rests on compile_soma.c and step_soma.c. Ten times the nodes should take ten
# times as long: where a pass takes more than fifteen, the row says so.
from parts import judged
from part_gpt import WORK as GPT
from part_resnet import WORK as RESNET

ORDER, SUMMARY = 70, "time and memory of making plans, up to 100,000 nodes"
SMALL, LARGE, MOST, SHORTEST = 10000, 100000, 15, 0.005
PASSES = ["simplify", "fuse", "layout", "lower and memory"]
KINDS = {"chain": "a chain of maps", "fan": "maps of one array, summed", "layers": "dense layers, gradients, SGD"}


def step_row(bench, name, work):
    workers, _ = bench.start(lambda: bench.worker("Soma", "step_soma", {}, work.soma_arguments()))
    name = f"making the plan of the {name}'s training step"
    if not workers:
        bench.row(name, "not built", "", "", "")
        return
    try:
        workers[0].ask("about")
        times = sorted(float(workers[0].ask(f"plan {batch}").split()[0])
                       for batch in (work.batch - 1, work.batch - 3, work.batch // 2))
        steps = workers[0].ask("about").split()[2]
        bench.row(name, f"{1e3 * times[1]:.0f} ms", f"{steps} steps", "", judged("at most 50 ms", times[1] <= 0.05))
    except RuntimeError as error:
        bench.row(name, str(error), "", "", "")
    workers[0].end()


def figures(worker, kind, nodes):
    words = worker.ask(f"{kind} {nodes}").split()
    return {"nodes": int(words[0]), "steps": int(words[1]), "peak": int(words[4]), "graph": float(words[5]),
            "passes": [float(word) for word in words[6:10]]}


def kind_rows(bench, worker, kind):
    small, large = figures(worker, kind, SMALL), figures(worker, kind, LARGE)
    times = large["nodes"] / small["nodes"]
    total = sum(large["passes"])
    by_pass = ", ".join(f"{name} {seconds:.2f}" for name, seconds in zip(PASSES, large["passes"]))
    slow = [name for name, a, b in zip(PASSES, small["passes"], large["passes"])
            if b > max(a, SHORTEST) * times * MOST / 10]
    name = f"plan of {large['nodes']:,} nodes, {KINDS[kind]}"
    growth = total / sum(small["passes"])
    bench.row(name, f"{total:.2f} s", by_pass, f"{growth:.1f} times for {times:.1f} times the nodes",
              judged(f"every pass near-linear{' (not: ' + ', '.join(slow) + ')' if slow else ''}", not slow))
    growth = large["peak"] / small["peak"]
    bench.row(f"{name}: peak memory", f"{large['peak'] / 1e6:.0f} MB",
              f"{large['peak'] / large['nodes'] / 1e3:.1f} kB a node",
              f"{growth:.1f} times for {times:.1f} times the nodes", judged("near-linear", growth <= times * MOST / 10))


def run(bench):
    step_row(bench, "GPT", GPT)
    step_row(bench, "ResNet-20", RESNET)
    workers, _ = bench.start(lambda: bench.worker("Soma", "compile_soma", {"BENCH_CPU_TIME": "1"}))
    if not workers:
        bench.row("plans of large graphs", "not built", "", "", "")
        return
    for kind in KINDS:
        try:
            kind_rows(bench, workers[0], kind)
        except RuntimeError as error:
            bench.row(f"plan of {KINDS[kind]}", str(error), "", "", "")
            break
    workers[0].end()
