# Work a, the tutorial's network: an epoch of MNIST by soma_fit, and by PyTorch set up well and as it comes.
# Rests on mnist_soma.c and mnist_torch.py. The share of the machine's multiply-adds says how much is left.
from parts import folder, judged, plural, torch_environment, torch_worker
from steps import scaling_row
from turns import round_robin

ORDER, SUMMARY = 10, "an epoch of MNIST, 784-512-10, beside PyTorch (work a)"
BEST, INSTALLED = "PyTorch at its best", "PyTorch as installed"
UNKNOWN = INSTALLED + ", its OpenBLAS with the kernels it has for a processor it does not know"
# 60,000 samples; forward and the weights' gradients of both layers, the second one's gradient to its input.
EPOCH_FLOPS = 60000 * 2.0 * (2 * 784 * 512 + 3 * 512 * 10)


def as_installed(bench, name, environment):
    """Debian's OpenBLAS is older than many processors: what it makes of one decides how slow PyTorch is."""
    blas = folder("openblas-pthread")
    return torch_worker(bench, name, {**({"LD_LIBRARY_PATH": blas} if blas else {}), **environment}, "mnist_torch.py",
                        "data/mnist", "as-installed", 0)


def epochs_with(bench, threads):
    makers = [lambda: bench.worker("Soma", "mnist_soma", {"SOMA_THREADS": str(threads)}),
              lambda: torch_worker(bench, BEST, torch_environment(bench, threads), "mnist_torch.py", "data/mnist",
                                   "best", threads)]
    if threads > 1:
        makers.append(lambda: as_installed(bench, INSTALLED, {}))
        makers.append(lambda: as_installed(bench, UNKNOWN, {"OPENBLAS_CORETYPE": "Prescott"}))
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


def run(bench):
    by_threads = {}
    for threads in sorted(bench.peaks, reverse=True):
        seconds, missing, failures, memory = epochs_with(bench, threads)
        if threads == bench.threads:
            bench.torch_memory = memory.get(BEST)
        by_threads[threads] = seconds.get("Soma")
        soma = seconds.get("Soma")
        name = f"epoch of MNIST, 784-512-10, RMSprop, {plural(threads)}"
        if not soma:
            bench.row(name, failures.get("Soma", "not built"), "", "", "")
            continue
        share = EPOCH_FLOPS / soma / 1e9 / bench.peaks[threads]
        two = threads == bench.threads and threads > 1
        bench.row(name, f"{soma:.3f} s, {EPOCH_FLOPS / soma / 1e9:.0f} GFLOP/s", f"FMA peak {bench.peaks[threads]:.0f}",
                  f"{100 * share:.0f} %", judged("at least 50 % of the peak, aim 70 %", share >= 0.5) if two else "")
        bench.peer_rows(name, soma, seconds, failures, missing,
                        {BEST: 2 if two else None,
                         **({name: 6 if two else None for name in (INSTALLED, UNKNOWN)} if threads > 1 else {})},
                        lambda t: f"{t:.3f} s")
    scaling_row(bench, "epoch of MNIST, 784-512-10", by_threads)
