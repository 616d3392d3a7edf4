# Work h, predictions of networks that other works train: one sample, with the 99th percentile, and 64; beside PyTorch
# optimized for inference and ONNX Runtime. Rests on infer_soma.c, infer_torch.py, infer_onnx.js and make_onnx.py.
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass

import part_cnn
import part_resnet
from parts import PYTHON, ROOT, judged, plural, torch_environment, torch_worker
from steps import time_text
from turns import Missing, Worker, round_robin

ORDER, SUMMARY = 55, "predictions of 784-512-10, conv 32, conv 64 and ResNet-20 beside PyTorch and ONNX Runtime (work h)"
TORCH, ONNX = "PyTorch, optimized for inference", "ONNX Runtime"
# The least ratio to each peer, on all threads.
BARS = {TORCH: 1.5, ONNX: 1}
MODULES = ROOT / "data/onnxruntime/node_modules"


@dataclass
class Net:
    key: str      # of torch_nets
    name: str     # in the row
    model: dict   # as soma_model_from_json takes it
    shape: tuple  # of a sample, as the peers take it
    flops: float  # of the products for a sample


DENSE = [{"dense": {"units": 512, "activation": "relu", "input_shape": [784]}},
         {"dense": {"units": 10, "activation": "softmax"}}]
NETS = [Net("a", "784-512-10", {"layers": DENSE}, (784,), 2.0 * (784 * 512 + 512 * 10)),
        Net("d", "conv 32, conv 64, dense 10", {"layers": part_cnn.WORK.model}, (1, 28, 28),
            part_cnn.flops(1, training=False)),
        Net("e", "ResNet-20", part_resnet.WORK.model, (3, 32, 32), part_resnet.flops(1, training=False))]


def torch_nets(torch):
    """Nets and the shapes of a sample; worker programs find them by Net.key."""
    nn = torch.nn
    dense = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10), nn.Softmax(1))
    convolutions = nn.Sequential(part_cnn.torch_net(torch), nn.Softmax(1))
    nets = {"a": dense, "d": convolutions, "e": part_resnet.torch_net(torch)}
    return {net.key: (nets[net.key], net.shape) for net in NETS}


def onnx_worker(bench, scratch, net, threads):
    node = shutil.which("node") or shutil.which("nodejs")
    if not node or not (MODULES / "onnxruntime-node").is_dir() or not bench.has_module("torch"):
        raise Missing(ONNX)
    path = f"{scratch}/{net.key}.onnx"
    if not os.path.exists(path):
        subprocess.run([PYTHON, str(ROOT / "bench/make_onnx.py"), "part_inference", net.key, path], check=True,
                       capture_output=True)
    command = [node, str(ROOT / "bench/infer_onnx.js"), path, str(threads), *map(str, net.shape)]
    return Worker(ONNX, command, {"NODE_PATH": str(MODULES)})


def slow_rows(bench, name, slow):
    """The 99th percentiles, which have no bar."""
    peers = [f"{peer} {time_text(seconds)}" for peer, seconds in slow.items() if peer != "Soma"]
    ratios = [f"{seconds / slow['Soma']:.2f}" for peer, seconds in slow.items() if peer != "Soma"]
    bench.row(f"{name}, 99th percentile", time_text(slow["Soma"]), ", ".join(peers), ", ".join(ratios), "")


def batch_rows(bench, workers, missing, net, batch, threads):
    # of one sample: the 99th percentile of a tenth of a second would rest on four predictions
    seconds, rounds = (0.3 if batch == 1 else 0.1, 5 if batch == 1 else 3) if bench.quick else (0.4, 7)
    all_threads = threads == bench.threads
    slow = {worker.name: [] for worker in workers}

    def ask(worker):
        median, late = map(float, worker.ask(f"{batch} {seconds}").split())
        slow[worker.name].append(late)
        return median

    times, failures = round_robin(workers, rounds, ask)
    name = f"prediction by {net.name}, batch {batch}, {plural(threads)}"
    soma = times.get("Soma")
    if not soma:
        bench.row(name, failures.get("Soma", "not built"), "", "", "")
        return
    bench.peer_rows(name, soma, times, failures, missing, BARS if all_threads else dict.fromkeys(BARS), time_text)
    if batch == 1:
        slow_rows(bench, name, {peer: statistics.median(slow[peer]) for peer in times})
    speed = batch * net.flops / soma / 1e9
    share = speed / bench.peaks[threads]
    bench.row(name, f"{speed:.0f} GFLOP/s", f"FMA peak {bench.peaks[threads]:.0f}", f"{100 * share:.0f} %",
              judged("at least 50 %", share >= 0.5) if all_threads and batch > 1 else "")


def run(bench):
    with tempfile.TemporaryDirectory() as scratch:
        for net in NETS:
            for threads in sorted(bench.peaks, reverse=True):
                workers, missing = bench.start(
                    lambda: bench.worker("Soma", "infer_soma", {"SOMA_THREADS": str(threads)}, [json.dumps(net.model)]),
                    lambda: torch_worker(bench, TORCH, torch_environment(bench, threads), "infer_torch.py",
                                         "part_inference", net.key, threads),
                    lambda: onnx_worker(bench, scratch, net, threads))
                for batch in (1, 64):
                    batch_rows(bench, workers, missing, net, batch, threads)
                for worker in workers:
                    worker.end()
