# Parts that time one training step of a network, by Soma and by PyTorch at its best, on all threads and on one.
# A part gives a Work and a torch_work(torch); rests on step_soma.c and step_torch.py. Rows: the step's share of the
# machine's multiply-adds, the ratio to PyTorch, peak memory beside PyTorch's, and what a second thread brings.
import json
from dataclasses import dataclass

from parts import judged, plural, torch_environment, torch_worker
from turns import round_robin

PEER = "PyTorch at its best"


@dataclass
class Work:
    name: str      # the row's
    part: str      # the module that has torch_work
    model: object  # layers, or the whole model, as soma_model_from_json takes them
    compile: dict  # as soma_model_compile_json takes it
    batch: int
    x: str         # as step_soma.c takes them
    y: str
    flops: float   # of the matrix products of a step
    ratio: float   # the least ratio to PyTorch on all threads
    share: float = None  # the least share of the peak there
    scaling: bool = False

    def soma_arguments(self):
        model = self.model if isinstance(self.model, dict) else {"layers": self.model}
        return [json.dumps(model), json.dumps(self.compile), str(self.batch), self.x, self.y]


def time_text(seconds):
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def step_times(bench, work, threads):
    workers, missing = bench.start(
        lambda: bench.worker("Soma", "step_soma", {"SOMA_THREADS": str(threads)}, work.soma_arguments()),
        lambda: torch_worker(bench, PEER, torch_environment(bench, threads), "step_torch.py", work.part, threads))
    times, failures = round_robin(workers, 3 if bench.quick else 7,
                                  lambda worker: float(worker.ask("0.1" if bench.quick else "0.4").split()[0]))
    for worker in workers:
        worker.end()
    return times, failures, missing, {worker.name: worker.peak_bytes for worker in workers}


def scaling_row(bench, name, by_threads):
    """What more threads bring, beside what they bring to the loop of multiply-adds alone."""
    most = bench.threads
    if most == 1 or not by_threads.get(1) or not by_threads.get(most):
        return
    gain, limit = by_threads[1] / by_threads[most], bench.peaks[most] / bench.peaks[1]
    bench.row(f"{name}: from 1 to {plural(most)}", f"{gain:.2f} times", f"FMA loop {limit:.2f} times",
              f"{gain / limit:.2f}", judged("at least 0.85", gain / limit >= 0.85))


def memory_row(bench, work, memory):
    ours, peer = memory.get("Soma"), memory.get(PEER)
    if ours:
        bench.row(f"{work.name}: peak memory", f"{ours / 1e6:.0f} MB",
                  f"PyTorch {peer / 1e6:.0f} MB" if peer else "PyTorch not measured",
                  f"{peer / ours:.1f}" if peer else "", "")


def step_part(bench, work):
    by_threads = {}
    for threads in sorted(bench.peaks, reverse=True):
        times, failures, missing, memory = step_times(bench, work, threads)
        name, soma = f"{work.name}, {plural(threads)}", times.get("Soma")
        if not soma:
            bench.row(name, failures.get("Soma", "not built"), "", "", "")
            continue
        by_threads[threads] = soma
        speed, all_threads = work.flops / soma / 1e9, threads == bench.threads
        share = speed / bench.peaks[threads]
        bench.row(name, f"{time_text(soma)}, {speed:.0f} GFLOP/s", f"FMA peak {bench.peaks[threads]:.0f}",
                  f"{100 * share:.0f} %", judged(f"at least {100 * work.share:.0f} %", share >= work.share)
                  if work.share and all_threads else "")
        bench.peer_rows(name, soma, times, failures, missing, {PEER: work.ratio if all_threads else None}, time_text)
        if all_threads:
            memory_row(bench, work, memory)
    if work.scaling:
        scaling_row(bench, work.name, by_threads)
