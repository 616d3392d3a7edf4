# Work h, predictions of the tutorial's network: one sample, with the 99th percentile, and 64; beside PyTorch optimized
# for inference and ONNX Runtime. Rests on infer_soma.c, infer_torch.py, infer_onnx.js and make_onnx.py.
import json
import os
import shutil
import statistics
import subprocess
import tempfile

from parts import PYTHON, ROOT, judged, plural, torch_environment, torch_worker
from steps import time_text
from turns import Missing, Worker, round_robin

ORDER, SUMMARY = 55, "predictions of 784-512-10 beside PyTorch and ONNX Runtime (work h)"
TORCH, ONNX = "PyTorch, optimized for inference", "ONNX Runtime"
MODEL = [{"dense": {"units": 512, "activation": "relu", "input_shape": [784]}},
         {"dense": {"units": 10, "activation": "softmax"}}]
# The least ratio to each peer, on all threads.
BARS = {TORCH: 1.5, ONNX: 1}
MODULES = ROOT / "data/onnxruntime/node_modules"


def torch_nets(torch):
    nn = torch.nn
    return {"a": (nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10), nn.Softmax(1)), (784,))}


def onnx_worker(bench, scratch, threads):
    node = shutil.which("node") or shutil.which("nodejs")
    if not node or not (MODULES / "onnxruntime-node").is_dir() or not bench.has_module("onnx"):
        raise Missing(ONNX)
    path = f"{scratch}/a.onnx"
    if not os.path.exists(path):
        layers = ["784", "Relu", "512", "Softmax", "10"]
        subprocess.run([PYTHON, str(ROOT / "bench/make_onnx.py"), path, *layers], check=True)
    command = [node, str(ROOT / "bench/infer_onnx.js"), path, str(threads), "784"]
    return Worker(ONNX, command, {"NODE_PATH": str(MODULES)})


def slow_rows(bench, name, slow):
    """The 99th percentiles, which have no bar."""
    peers = [f"{peer} {time_text(seconds)}" for peer, seconds in slow.items() if peer != "Soma"]
    ratios = [f"{seconds / slow['Soma']:.2f}" for peer, seconds in slow.items() if peer != "Soma"]
    bench.row(f"{name}, 99th percentile", time_text(slow["Soma"]), ", ".join(peers), ", ".join(ratios), "")


def batch_rows(bench, workers, missing, batch, threads):
    seconds, all_threads = 0.1 if bench.quick else 0.4, threads == bench.threads
    slow = {worker.name: [] for worker in workers}

    def ask(worker):
        median, late = map(float, worker.ask(f"{batch} {seconds}").split())
        slow[worker.name].append(late)
        return median

    times, failures = round_robin(workers, 3 if bench.quick else 7, ask)
    name = f"prediction by 784-512-10, batch {batch}, {plural(threads)}"
    soma = times.get("Soma")
    if not soma:
        bench.row(name, failures.get("Soma", "not built"), "", "", "")
        return
    bench.peer_rows(name, soma, times, failures, missing, BARS if all_threads else dict.fromkeys(BARS), time_text)
    if batch == 1:
        slow_rows(bench, name, {peer: statistics.median(slow[peer]) for peer in times})
    else:
        flops = 2.0 * batch * (784 * 512 + 512 * 10)
        share = flops / soma / 1e9 / bench.peaks[threads]
        bench.row(name, f"{flops / soma / 1e9:.0f} GFLOP/s", f"FMA peak {bench.peaks[threads]:.0f}",
                  f"{100 * share:.0f} %", judged("at least 50 %", share >= 0.5) if all_threads else "")


def run(bench):
    with tempfile.TemporaryDirectory() as scratch:
        for threads in sorted(bench.peaks, reverse=True):
            workers, missing = bench.start(
                lambda: bench.worker("Soma", "infer_soma", {"SOMA_THREADS": str(threads)},
                                     [json.dumps({"layers": MODEL})]),
                lambda: torch_worker(bench, TORCH, torch_environment(bench, threads), "infer_torch.py",
                                     "part_inference", "a", threads),
                lambda: onnx_worker(bench, scratch, threads))
            for batch in (1, 64):
                batch_rows(bench, workers, missing, batch, threads)
            for worker in workers:
                worker.end()
