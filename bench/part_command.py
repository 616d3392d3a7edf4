# The command: how soon it makes its first step, how much memory a whole training takes, beside PyTorch.
# Rests on the built soma and mnist_torch.py; PyTorch's memory is that of part_epochs, when it ran.
import os
import re
import statistics
import subprocess
import tempfile
import time

from parts import ROOT, judged, torch_environment, torch_worker, without_ours
from turns import Missing

ORDER, SUMMARY = 80, "the command's start and memory"


def train_command(bench, output, *more):
    return [str(bench.build / "soma"), "train", "--dataset", "mnist", "--hidden", "512", "--batch-size", "128", "--seed",
            "1", "--output", output, *more]


def first_step_seconds(bench, scratch):
    """Until the bar counts the first step; the rest of the training is of no interest."""
    start = time.monotonic()
    process = subprocess.Popen(train_command(bench, f"{scratch}/a.soma", "--epochs", "1", "--progress", "bar"), cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=without_ours())
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
                                   env=without_ours())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            errors.seek(0)
            raise RuntimeError("soma train failed: " + errors.read().decode(errors="replace").strip()[-200:])
    return usage.ru_maxrss * 1024


def torch_first_step(bench):
    worker = torch_worker(bench, "PyTorch", torch_environment(bench, bench.threads), "mnist_torch.py", "data/mnist",
                          "best", bench.threads)
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
    torch_peak = bench.torch_memory
    bench.row("peak memory of the MNIST training", f"{peak / 1e6:.0f} MB",
              f"PyTorch {torch_peak / 1e6:.0f} MB" if torch_peak else "PyTorch not measured",
              f"{torch_peak / peak:.1f}" if torch_peak else "", judged("under 150 MB", peak < 150e6))


def run(bench):
    with tempfile.TemporaryDirectory() as scratch:
        if not os.access(bench.build / "soma", os.X_OK):
            bench.row("soma train", "not built", "", "", "")
            return
        for measure in (start_row, memory_row):
            try:
                measure(bench, scratch)
            except RuntimeError as error:
                bench.row("soma train", str(error), "", "", "")
