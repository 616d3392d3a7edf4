#!/usr/bin/env python3
# The table of speed, size and memory: run.py [BUILD] [--quick] [--only PART,...]; make bench calls it.
# Prints the machine's own limits, then a row for each piece of work: Soma, the peers in the same run, the ratio (above 1:
# Soma is faster or smaller), the bar. Rests on the programs of this folder and turns.py; a peer that is not installed is
# named so, and scripts/setup.sh bench installs them. Figures are medians of rounds in which everyone takes turns.
import argparse
import functools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from turns import Missing, Worker, round_robin

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
PARTS = ["epochs", "gemm", "xor", "command", "size"]
COLUMNS = ["row", "Soma", "peer", "ratio", "bar"]

# 60,000 samples; forward and the weights' gradients of both layers, the second one's gradient to its input.
EPOCH_FLOPS = 60000 * 2.0 * (2 * 784 * 512 + 3 * 512 * 10)
# Environment that no measurement may inherit.
OURS = ("SOMA_THREADS", "SOMA_ISA", "SOMA_LOG", "OMP_NUM_THREADS", "OMP_PROC_BIND", "OPENBLAS_CORETYPE",
        "OPENBLAS_NUM_THREADS", "ATEN_CPU_CAPABILITY", "LD_PRELOAD", "LD_LIBRARY_PATH", "BLIS_NUM_THREADS")

# What it is, m, n, k, and how it lies: a, b transposed; w: B is a weight that stays, in a layout of the library's choice.
SHAPES = [
    ("square", 64, 64, 64, "-"), ("square", 256, 256, 256, "-"), ("square", 512, 512, 512, "-"),
    ("square", 1024, 1024, 1024, "-"), ("square", 2048, 2048, 2048, "-"),
    ("hidden layer", 128, 512, 784, "-"), ("hidden layer, kept weights", 128, 512, 784, "w"),
    ("its weights' gradient", 784, 512, 128, "a"),
    ("output layer", 128, 10, 512, "-"), ("output layer, kept weights", 128, 10, 512, "w"),
    ("its weights' gradient", 512, 10, 128, "a"), ("its input's gradient", 128, 512, 10, "b"),
    ("its input's gradient, kept weights", 128, 512, 10, "bw"),
    ("one sample, hidden layer", 1, 512, 784, "-"), ("one sample, hidden layer, kept weights", 1, 512, 784, "w"),
    ("one sample, output layer", 1, 10, 512, "-"), ("one sample, output layer, kept weights", 1, 10, 512, "w"),
]


class Bench:
    def __init__(self, build, quick):
        self.build, self.programs, self.quick = build, build / "bench", quick
        self.rows, self.peaks, self.threads = [], {}, 1
        self.avx512 = "avx512f" in Path("/proc/cpuinfo").read_text()
        self.epoch_seconds = {}

    def row(self, *cells):
        self.rows.append([str(cell) for cell in cells])
        print("  " + " | ".join(self.rows[-1]), file=sys.stderr, flush=True)

    def worker(self, name, program, environment=None, arguments=()):
        return Worker(name, [str(self.programs / program), *arguments], environment, OURS)

    @functools.cache
    def has_torch(self):
        return subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode == 0

    def start(self, *makers):
        """Workers of what is installed, and the names of what is not."""
        workers, missing = [], []
        for make in makers:
            try:
                workers.append(make())
            except Missing as name:
                missing.append(str(name))
        return workers, missing


def judged(text, met):
    return f"{text}: {'met' if met else 'MISSED'}"


# ---- the machine ----

def limits(bench):
    text = subprocess.run([bench.programs / "limits"], capture_output=True, text=True, check=True).stdout
    lines = text.splitlines()
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"Machine: {model[1] if model else 'unknown processor'}, {os.cpu_count()} CPUs, kernels {lines[0].split()[1]}, "
          f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| threads | FMA GFLOP/s | L2 read, copy, triad GB/s | L3 | memory |\n|---|---|---|---|---|")
    for line in lines[1:]:
        words = line.split()
        figures = {words[i]: float(words[i + 1]) for i in range(0, len(words), 2)}
        threads = int(figures["threads"])
        bench.peaks[threads] = figures["gflops"]
        bench.threads = max(bench.threads, threads)
        cells = [", ".join(f"{figures[f'{level}_{kind}']:.0f}" for kind in ("read", "copy", "triad"))
                 for level in ("l2", "l3", "memory")]
        print(f"| {threads} | {figures['gflops']:.0f} | {' | '.join(cells)} |")
    print(flush=True)


# ---- work a: the tutorial's network ----

def folder(name):
    return str(LIBRARIES / name) if (LIBRARIES / name).is_dir() else ""


def torch_best(bench, threads):
    """Debian's PyTorch as somebody sets it up who knows it: the BLAS that shares its threads, told the processor (else
    OpenBLAS and ATen take older kernels), threads that stay where they are, and an allocator that keeps blocks."""
    environment = {"OMP_NUM_THREADS": str(threads), **({"OMP_PROC_BIND": "true"} if threads > 1 else {})}
    if bench.avx512:
        environment.update(OPENBLAS_CORETYPE="SkylakeX", ATEN_CPU_CAPABILITY="avx512")
    if folder("openblas-openmp"):
        environment["LD_LIBRARY_PATH"] = folder("openblas-openmp")
    allocator = LIBRARIES / "libtcmalloc_minimal.so.4"
    if allocator.exists():
        environment["LD_PRELOAD"] = str(allocator)
    return torch(bench, "PyTorch at its best", "best", threads, environment)


def torch_as_installed(bench):
    blas = folder("openblas-pthread")
    return torch(bench, "PyTorch as installed", "as-installed", 0, {"LD_LIBRARY_PATH": blas} if blas else {})


def torch(bench, name, configuration, threads, environment):
    if not bench.has_torch():
        raise Missing(name)
    return Worker(name, ["/usr/bin/python3", str(ROOT / "bench/mnist_torch.py"), "data/mnist", configuration,
                         str(threads)], environment, OURS)


def epochs_with(bench, threads):
    makers = [lambda: bench.worker("Soma", "mnist_soma", {"SOMA_THREADS": str(threads)}),
              lambda: torch_best(bench, threads)]
    if threads > 1:
        makers.append(lambda: torch_as_installed(bench))
    workers, missing = bench.start(*makers)
    failures = {}
    for worker in workers:
        try:
            worker.wait_for("ready")
        except RuntimeError as error:
            failures[worker.name] = str(error)
    able = [worker for worker in workers if worker.name not in failures]
    seconds, later = round_robin(able, 2 if bench.quick else 4, lambda worker: float(worker.ask("epoch")))
    failures.update(later)
    for worker in workers:
        worker.end()
    return seconds, missing, failures, {worker.name: worker.peak_bytes for worker in workers}


def epochs(bench):
    for threads in sorted(bench.peaks, reverse=True):
        seconds, missing, failures, memory = epochs_with(bench, threads)
        bench.epoch_seconds[threads] = seconds
        if threads == bench.threads:
            bench.torch_memory = memory.get("PyTorch at its best")
        soma = seconds.get("Soma")
        name = f"epoch of MNIST, 784-512-10, RMSprop, {threads} thread{'s' if threads > 1 else ''}"
        if not soma:
            bench.row(name, failures.get("Soma", "not built"), "", "", "")
            continue
        share = EPOCH_FLOPS / soma / 1e9 / bench.peaks[threads]
        two = threads == bench.threads and threads > 1
        bench.row(name, f"{soma:.3f} s, {EPOCH_FLOPS / soma / 1e9:.0f} GFLOP/s", f"FMA peak {bench.peaks[threads]:.0f}",
                  f"{100 * share:.0f} %", judged("at least 50 % of the peak, aim 70 %", share >= 0.5) if two else "")
        for peer, least in (("PyTorch at its best", 1.6), ("PyTorch as installed", 6)):
            if peer in missing:
                bench.row(name, f"{soma:.3f} s", f"{peer}: not installed", "", f"at least {least}")
            elif peer in failures:
                bench.row(name, f"{soma:.3f} s", failures[peer], "", f"at least {least}")
            elif peer in seconds:
                ratio = seconds[peer] / soma
                bench.row(name, f"{soma:.3f} s", f"{peer}: {seconds[peer]:.3f} s", f"{ratio:.2f}",
                          judged(f"at least {least}", ratio >= least) if two else "")


# ---- products of matrices ----

def gemm_workers(bench, threads):
    n = str(threads)
    bound = {"OMP_PROC_BIND": "true"} if threads > 1 else {}
    openblas = {"OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n}
    if bench.avx512:
        openblas["OPENBLAS_CORETYPE"] = "SkylakeX"
    return bench.start(lambda: bench.worker("Soma", "gemm_soma", {"SOMA_THREADS": n}),
                       lambda: bench.worker("oneDNN", "gemm_dnnl", {"OMP_NUM_THREADS": n, **bound}),
                       lambda: bench.worker("OpenBLAS", "gemm_openblas", openblas),
                       lambda: bench.worker("BLIS", "gemm_blis", {"BLIS_NUM_THREADS": n, "OMP_NUM_THREADS": n, **bound}))


def gemm_bar(bench, shape, threads, speed, ratios):
    """One for every shape but the small squares: oneDNN's speed; at 1024 a share of the peak too."""
    what, m = shape[0], shape[1]
    if what == "square" and m < 512:
        return ""
    parts = []
    if "oneDNN" in ratios:
        parts.append(judged("at least oneDNN's", ratios["oneDNN"] >= 1))
    if what == "square" and m == 1024:
        share = speed / bench.peaks[threads]
        parts.append(judged(f"85 % of the peak (is {100 * share:.0f} %)", share >= 0.85))
    return "; ".join(parts)


def gemm_row(bench, shape, threads, workers, missing):
    what, m, n, k, flags = shape
    seconds = 0.04 if bench.quick else 0.15
    question = f"{m} {n} {k} {flags} {seconds}"
    times, failures = round_robin(workers, 3 if bench.quick else 7,
                                  lambda worker: float(worker.ask(question).split()[0]))
    name = f"sgemm {m}x{n}x{k}, {what}, {threads} thread{'s' if threads > 1 else ''}"
    if "Soma" not in times:
        bench.row(name, failures.get("Soma", "not built"), "", "", "")
        return
    speeds = {worker: 2e-9 * m * n * k / t for worker, t in times.items()}
    ratios = {worker: times[worker] / times["Soma"] for worker in times if worker != "Soma"}
    peers = [f"{peer} {speeds[peer]:.0f}" for peer in ratios] + [failures[peer] for peer in failures]
    peers += [f"{peer} not installed" for peer in missing]
    bench.row(name, f"{speeds['Soma']:.0f} GFLOP/s, {100 * speeds['Soma'] / bench.peaks[threads]:.0f} %",
              ", ".join(peers), ", ".join(f"{ratio:.2f}" for ratio in ratios.values()),
              gemm_bar(bench, shape, threads, speeds["Soma"], ratios))


def gemm(bench):
    for threads in sorted(bench.peaks, reverse=True):
        workers, missing = gemm_workers(bench, threads)
        for shape in SHAPES:
            gemm_row(bench, shape, threads, workers, missing)
        for worker in workers:
            worker.end()


# ---- work c: the smallest network ----

def xor(bench):
    workers, missing = bench.start(lambda: bench.worker("Soma", "xor_soma", {"SOMA_THREADS": "1"}),
                                   lambda: bench.worker("FANN", "xor_fann"))

    def first(worker):
        """Soma's plan; FANN's faster way."""
        figures = [float(word) for word in worker.ask("0.3").split()[1::2]]
        if worker.name == "FANN":
            return min(figures)
        by_batch.append(figures[1])
        return figures[0]

    by_batch = []
    times, failures = round_robin(workers, 3 if bench.quick else 9, first)
    for worker in workers:
        worker.end()
    name = "a training step of 2-8-1, XOR, 4 samples, 1 thread"
    if "Soma" not in times:
        bench.row(name, failures.get("Soma", "not built"), "", "", "")
        return
    soma = times["Soma"] * 1e6
    parts = [judged("at most 1.5 us", soma <= 1.5)]
    peer, ratio = failures.get("FANN", "FANN not installed"), ""
    if "FANN" in times:
        peer, ratio = f"FANN {times['FANN'] * 1e6:.2f} us", times["FANN"] / times["Soma"]
        parts.append(judged("at least FANN's speed", ratio >= 1))
        ratio = f"{ratio:.2f}"
    bench.row(name, f"{soma:.2f} us", peer, ratio, "; ".join(parts))
    bench.row("the same by soma_train_on_batch", f"{statistics.median(by_batch) * 1e6:.2f} us", "", "", "")


# ---- the command: how soon it works, how much memory it takes ----

def train_command(bench, output, *more):
    return [str(bench.build / "soma"), "train", "--dataset", "mnist", "--hidden", "512", "--batch-size", "128", "--seed",
            "1", "--output", output, *more]


def first_step_seconds(bench, scratch):
    """Until the bar counts the first step; the rest of the training is of no interest."""
    start = time.monotonic()
    process = subprocess.Popen(train_command(bench, f"{scratch}/a.soma", "--epochs", "1", "--progress", "bar"), cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env={key: value for key, value in os.environ.items() if key not in OURS})
    seen, seconds = b"", None
    while seconds is None:
        piece = os.read(process.stderr.fileno(), 4096)
        seen += piece
        if re.search(rb"\b1/469", seen):
            seconds = time.monotonic() - start
        elif not piece:
            break
    process.kill()
    process.wait()
    process.stderr.close()
    if seconds is None:
        raise RuntimeError("soma train ended early: " + seen.decode(errors="replace").strip()[-200:])
    return seconds


def whole_training(bench, scratch):
    """Peak memory of a training with its evaluation and its saving."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(train_command(bench, f"{scratch}/b.soma", "--epochs", "2", "--progress", "none"),
                                   cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   env={key: value for key, value in os.environ.items() if key not in OURS})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            errors.seek(0)
            raise RuntimeError("soma train failed: " + errors.read().decode(errors="replace").strip()[-200:])
    return usage.ru_maxrss * 1024


def torch_first_step(bench):
    worker = torch_best(bench, bench.threads)
    try:
        return worker.wait_for("first step"), worker
    finally:
        worker.process.kill()
        worker.end()


def start_row(bench, scratch):
    name = "start of soma train to the first step of MNIST"
    rounds, soma, peer = 2 if bench.quick else 5, [], []
    first_step_seconds(bench, scratch)  # files into memory
    missing = ""
    for _ in range(rounds):
        soma.append(first_step_seconds(bench, scratch))
        try:
            if not missing:
                peer.append(torch_first_step(bench)[0])
        except Missing:
            missing = "PyTorch not installed"
        except RuntimeError as error:
            missing = str(error)
    seconds = statistics.median(soma)
    other, ratio = missing, ""
    if peer:
        other, ratio = f"PyTorch {statistics.median(peer):.2f} s", f"{statistics.median(peer) / seconds:.1f}"
    bench.row(name, f"{seconds:.3f} s", other, ratio, judged("under 0.3 s", seconds < 0.3))


def memory_row(bench, scratch):
    peak = whole_training(bench, scratch)
    torch_peak = getattr(bench, "torch_memory", None)
    bench.row("peak memory of the MNIST training", f"{peak / 1e6:.0f} MB",
              f"PyTorch {torch_peak / 1e6:.0f} MB" if torch_peak else "PyTorch not measured",
              f"{torch_peak / peak:.1f}" if torch_peak else "", judged("under 150 MB", peak < 150e6))


def command(bench):
    with tempfile.TemporaryDirectory() as scratch:
        if not os.access(bench.build / "soma", os.X_OK):
            bench.row("soma train", "not built", "", "", "")
            return
        for measure in (start_row, memory_row):
            try:
                measure(bench, scratch)
            except RuntimeError as error:
                bench.row("soma train", str(error), "", "", "")


def size(bench):
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["strip", "-o", f"{scratch}/libsoma.so", bench.build / "libsoma.so"], check=True)
        size_bytes = os.path.getsize(f"{scratch}/libsoma.so")
    bench.row("libsoma.so stripped", f"{size_bytes / 1e6:.2f} MB", "", "", judged("under 1.5 MB", size_bytes < 1.5e6))


def print_table(rows):
    widths = [max(len(row[i]) for row in [COLUMNS] + rows) for i in range(len(COLUMNS))]
    for number, row in enumerate([COLUMNS] + rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    missed = sum("MISSED" in row[4] for row in rows)
    print(f"\n{len(rows)} rows, {missed} with a bar that is missed. Load {os.getloadavg()[0]:.1f} at the end: "
          "above 1 or 2, other programs were measured too.")


def main():
    parser = argparse.ArgumentParser(description="Soma's speed, size and memory, beside its peers'.")
    parser.add_argument("build", nargs="?", default="build", help="folder of the build (default build)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    options = parser.parse_args()
    chosen = options.only.split(",")
    for part in chosen:
        if part not in PARTS:
            parser.error(f"--only: no part '{part}'; there are {', '.join(PARTS)}")
    build = Path(options.build).resolve()
    os.chdir(ROOT)
    bench = Bench(build, options.quick)
    limits(bench)
    try:
        for part in chosen:
            print(f"bench: {part}", file=sys.stderr, flush=True)
            globals()[part](bench)
    finally:
        print_table(bench.rows)


if __name__ == "__main__":
    main()
