# Convolutions of the pictures' networks (works d and e): forward and both gradients, beside oneDNN in its own layouts.
# Rests on conv_worker.c with one conv_LIBRARY.c each; every result is checked before it is timed.
import math

from parts import judged, plural
from turns import round_robin

ORDER, SUMMARY = 65, "convolutions and their gradients beside oneDNN"
BATCH = 128
# Network, size, channels in and out, kernel, stride, padding before and after, how many the network has; the first
# layer needs no gradient to its data.
SHAPES = [
    ("d", 28, 1, 32, 3, 1, 0, 0, 1), ("d", 13, 32, 64, 3, 1, 0, 0, 1),
    ("e", 32, 3, 16, 3, 1, 1, 1, 1), ("e", 32, 16, 16, 3, 1, 1, 1, 6), ("e", 32, 16, 32, 3, 2, 1, 1, 1),
    ("e", 16, 32, 32, 3, 1, 1, 1, 5), ("e", 16, 32, 64, 3, 2, 1, 1, 1), ("e", 8, 64, 64, 3, 1, 1, 1, 5),
    ("e", 32, 16, 32, 1, 2, 0, 0, 1), ("e", 16, 32, 64, 1, 2, 0, 0, 1),
]
PASSES = {"forward": "", "data": ", gradient to data", "weights": ", gradient to weights"}


def gflop(shape):
    _, size, inputs, outputs, kernel, stride, before, after, _ = shape
    places = (size + before + after - kernel) // stride + 1
    return 2e-9 * BATCH * places ** 2 * kernel ** 2 * inputs * outputs


def shape_row(bench, shape, kind, threads, workers, missing):
    network, size, inputs, outputs, kernel, stride, before, after, _ = shape
    seconds = 0.04 if bench.quick else 0.15
    question = f"{kind} {BATCH} {size} {inputs} {outputs} {kernel} {stride} {before} {after} {seconds}"
    times, failures = round_robin(workers, 3 if bench.quick else 7, lambda worker: float(worker.ask(question)))
    name = (f"{network}: convolution {kernel}x{kernel}{' stride 2' if stride > 1 else ''}, {size}x{size}, "
            f"{inputs}->{outputs}{PASSES[kind]}, {plural(threads)}")
    if "Soma" not in times:
        bench.row(name, failures.get("Soma", "not built"), "", "", "")
        return times
    speed = gflop(shape) / times["Soma"]
    peer, ratio, bar = "oneDNN not installed" if missing else failures.get("oneDNN", ""), "", ""
    if "oneDNN" in times:
        ratio = times["oneDNN"] / times["Soma"]
        peer, bar = f"oneDNN {gflop(shape) / times['oneDNN']:.0f}", judged("at least oneDNN's", ratio >= 1)
        ratio = f"{ratio:.2f}"
    bench.row(name, f"{speed:.0f} GFLOP/s, {100 * speed / bench.peaks[threads]:.0f} %", peer, ratio, bar)
    return times


def total_row(bench, network, totals, threads):
    """All convolutions of a training step of the network: how often each has it."""
    ours, theirs, work = totals["Soma"], totals["oneDNN"], totals["gflop"]
    if math.isnan(ours):
        return
    ratio = theirs / ours
    bench.row(f"{network}: all its convolutions in a training step, batch {BATCH}, {plural(threads)}",
              f"{work / ours:.0f} GFLOP/s, {100 * work / ours / bench.peaks[threads]:.0f} %",
              "" if math.isnan(ratio) else f"oneDNN {work / theirs:.0f}", "" if math.isnan(ratio) else f"{ratio:.2f}",
              "" if math.isnan(ratio) else judged("at least oneDNN's", ratio >= 1))


def run(bench):
    threads = bench.threads
    bound = {"OMP_PROC_BIND": "true"} if threads > 1 else {}
    workers, missing = bench.start(
        lambda: bench.worker("Soma", "conv_soma", {"SOMA_THREADS": str(threads)}),
        lambda: bench.worker("oneDNN", "conv_dnnl", {"OMP_NUM_THREADS": str(threads), **bound}))
    totals = {}
    for shape in SHAPES:
        network, count, is_first = shape[0], shape[-1], shape[2] in (1, 3)
        total = totals.setdefault(network, {"Soma": 0.0, "oneDNN": 0.0, "gflop": 0.0})
        for kind in PASSES:
            if kind == "data" and is_first:
                continue
            times = shape_row(bench, shape, kind, threads, workers, missing)
            total["gflop"] += count * gflop(shape)
            for library in ("Soma", "oneDNN"):
                total[library] += count * times.get(library, math.nan)
    for network, total in totals.items():
        total_row(bench, network, total, threads)
    for worker in workers:
        worker.end()
