#!/usr/bin/env python3
# How the cost grows: growth.py [BUILD] [--quick] [--only SERIES,...] [--output FOLDER]; make bench-plots calls it.
# The time of a training step, of making its plan, and the memory, against batch, width, depth, length of sequences and
# size of the graph. Rests on step_soma.c and compile_soma.c. Writes growth.json and growth.md (tables) into the folder,
# with --document the tables into that file too, between its marks, and the pictures by growth_plots.py where
# python3-matplotlib is installed. Medians of three turns on one thread, in CPU time: what is looked for is the shape,
# and neither other programs nor a second thread's gain should bend it.
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from parts import PYTHON, ROOT, Bench
from turns import Missing

SERIES = {}
ONE_THREAD = {"SOMA_THREADS": "1", "BENCH_CPU_TIME": "1"}
MARKS = "<!-- growth: made by make bench-plots -->\n", "<!-- end of growth -->\n"
COMPILE = {"optimizer": "rmsprop", "loss": "sparse_categorical_crossentropy"}
CLASSES = {"dense": {"units": 10, "activation": "softmax"}}


def series(name, title, axis, values, unit):
    """unit: what one divides the time by, and what it is called."""
    def register(function):
        SERIES[name] = {"title": title, "axis": axis, "values": values, "unit": unit, "function": function}
        return function
    return register


def powers(low, high, factor=2):
    values = [low]
    while values[-1] * factor <= high:
        values.append(values[-1] * factor)
    return values


class Step:
    """What step_soma is asked to do, and what to divide its time by."""

    def __init__(self, model, batch, x, y, divisor, flops=None, compile=COMPILE):
        self.arguments = [json.dumps({"layers": model}), json.dumps(compile), str(batch), x, y]
        self.divisor, self.flops = divisor, flops

    def measure(self, bench):
        worker = bench.worker("Soma", "step_soma", ONE_THREAD, self.arguments)
        first, plan_bytes, steps, _ = worker.ask("about").split()
        seconds = "0.05" if bench.quick else "0.2"
        step = statistics.median(float(worker.ask(seconds).split()[0]) for _ in range(3))
        worker.end()
        return {"seconds": step, "cost": step / self.divisor, "first_step": float(first), "steps": int(steps),
                "plan_bytes": int(plan_bytes), "peak_bytes": worker.peak_bytes,
                **({"gflops": self.flops / step / 1e9} if self.flops else {})}


@series("batch", "784-512-10 by RMSprop", "samples of a batch", powers(1, 4096), "sample")
def batch_step(batch):
    model = [{"dense": {"units": 512, "activation": "relu", "input_shape": [784]}}, CLASSES]
    return Step(model, batch, "f32", "i64:10", batch, 2.0 * batch * (2 * 784 * 512 + 3 * 512 * 10))


@series("width", "two dense layers of one width, batch 64", "units of a layer", powers(16, 8192), "sample")
def width_step(width):
    layer = {"units": width, "activation": "relu"}
    model = [{"dense": {**layer, "input_shape": [width]}}, {"dense": layer}, CLASSES]
    return Step(model, 64, "f32", "i64:10", 64, 2.0 * 64 * (5 * width * width + 3 * width * 10))


@series("depth", "dense layers of 64 units, batch 64, SGD", "layers", [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        "sample and layer")
def depth_step(depth):
    layer = {"dense": {"units": 64, "activation": "tanh", "kernel_initializer": "orthogonal", "input_shape": [64]}}
    model = [layer] * depth + [CLASSES]  # orthogonal and with small steps, so that a thousand of them still learn
    compile = {"optimizer": {"sgd": {"learning_rate": 0.001}}, "loss": "sparse_categorical_crossentropy"}
    flops = 2.0 * 64 * ((3 * depth - 1) * 64 * 64 + 3 * 64 * 10)
    return Step(model, 64, "f32", "i64:10", 64 * depth, flops, compile)


@series("lstm", "LSTM 64 -> 64, batch 16", "steps of a sequence", powers(16, 2048), "sample and step")
def lstm_step(length):
    model = [{"lstm": {"units": 64, "input_shape": [length, 64]}}, CLASSES]
    return Step(model, 16, "f32", "i64:10", 16 * length, 2.0 * 16 * length * 256 * (2 * 64 + 3 * 64))


@series("attention", "GPT of one layer, d 64, 4 heads, batch 2", "tokens of a context", powers(16, 2048),
        "sample and token")
def attention_step(length):
    block = {"transformer_decoder": {"intermediate_dim": 256, "num_heads": 4, "activation": "gelu",
                                     "normalize_first": True}}
    model = [{"embedding": {"input_dim": 96, "output_dim": 64, "input_shape": [length]}},
             {"position_embedding": {"sequence_length": length}}, block, {"dense": 96}]
    compile = {"optimizer": "rmsprop", "loss": "sparse_categorical_crossentropy_from_logits"}
    flops = 6.0 * 2 * length * (12 * 64 * 64 + 2 * length * 64 + 64 * 96)
    return Step(model, 2, "i64:96", f"i64:96:{length}", 2 * length, flops, compile)


class Graph:
    def __init__(self, kind, nodes):
        self.question = f"{kind} {nodes}"

    def measure(self, bench):
        worker = bench.worker("Soma", "compile_soma", ONE_THREAD)
        words = worker.ask(self.question).split()
        worker.end()
        seconds, nodes = sum(map(float, words[6:10])), int(words[0])
        return {"seconds": seconds, "cost": seconds / nodes, "nodes": nodes, "steps": int(words[1]),
                "plan_bytes": int(words[3]), "peak_bytes": int(words[4])}


for kind, title in {"chain": "a chain of maps", "fan": "maps of one array, summed",
                    "layers": "dense layers, gradients, SGD"}.items():
    series(kind, f"making a plan: {title}", "nodes of the graph", [1000, 3000, 10000, 30000, 100000], "node")(
        lambda nodes, kind=kind: Graph(kind, nodes))


def measure(bench, name):
    result = {key: SERIES[name][key] for key in ("title", "axis", "unit")}
    result["points"] = []
    for value in SERIES[name]["values"][::2 if bench.quick else 1]:
        try:
            point = SERIES[name]["function"](value).measure(bench)
        except RuntimeError as error:
            result["ended"] = f"at {value}: {error}"
            break
        result["points"].append({"value": value, **point})
        print(f"  {name} {value}: {point['cost'] * 1e6:.3g} us a {result['unit']}", file=sys.stderr, flush=True)
    return result


def time_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(result):
    has_flops = any("gflops" in point for point in result["points"])
    is_step = any("first_step" in point for point in result["points"])
    columns = [result["axis"], "a step" if is_step else "in all", f"a {result['unit']}"]
    columns += (["GFLOP/s"] if has_flops else []) + (["to the first step"] if is_step else [])
    columns += ["steps", "peak memory"]
    lines = [f"**{result['title']}**", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for p in result["points"]:
        cells = [f"{p['value']:,}", time_text(p["seconds"]), time_text(p["cost"])]
        cells += ([f"{p['gflops']:.0f}"] if has_flops else []) + ([time_text(p["first_step"])] if is_step else [])
        cells += [f"{p['steps']:,}", f"{p['peak_bytes'] / 1e6:.0f} MB"]
        lines.append("| " + " | ".join(cells) + " |")
    if "ended" in result:
        lines.append(f"\nIt ended {result['ended']}")
    return "\n".join(lines) + "\n"


def write_into(document, text):
    """The tables between the document's marks."""
    before, _, rest = document.read_text().partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        sys.exit(f"growth.py: {document} lacks the lines {MARKS[0].strip()} and {MARKS[1].strip()}")
    document.write_text(before + MARKS[0] + text + MARKS[1] + after)


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else 'unknown processor'}, {os.cpu_count()} CPUs"


def main():
    parser = argparse.ArgumentParser(description="How Soma's cost grows with the work.")
    parser.add_argument("build", nargs="?", default="build", help="folder of the build (default build)")
    parser.add_argument("--quick", action="store_true", help="every other point, shorter")
    parser.add_argument("--only", default=",".join(SERIES), metavar="SERIES,...", help="these (default: all)")
    parser.add_argument("--output", default="out/growth", help="folder (default out/growth)")
    parser.add_argument("--document", help="a file to put the tables into, such as docs/performance.md")
    options = parser.parse_args()
    for name in options.only.split(","):
        if name not in SERIES:
            parser.error(f"--only: no series '{name}'; there are {', '.join(SERIES)}")
    bench, folder = Bench(Path(options.build).resolve(), options.quick), Path(options.output).resolve()
    os.chdir(ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "growth.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    try:
        measured = {name: measure(bench, name) for name in options.only.split(",")}
    except Missing:
        sys.exit("growth.py: the bench programs are not built: make bench-plots builds them")
    known.update({"machine": machine(), "date": time.strftime("%Y-%m-%d"),
                  "series": {**known.get("series", {}), **measured}})
    path.write_text(json.dumps(known, indent=1))
    text = (f"{known['machine']}, {known['date']}, one thread, CPU time.\n\n" +
            "\n".join(map(table, known["series"].values())))
    if options.document:
        write_into(Path(options.document), text)
    (folder / "growth.md").write_text(text)
    print(text)
    if bench.has_module("matplotlib"):
        subprocess.run([PYTHON, str(ROOT / "bench/growth_plots.py"), str(path), str(folder)], check=True)
    else:
        print("pictures: python3-matplotlib is not installed (scripts/setup.sh bench)", file=sys.stderr)


if __name__ == "__main__":
    main()
