# Work c, the smallest network: a training step of 2-8-1 on the four samples of XOR, beside FANN.
# Rests on xor_soma.c and xor_fann.c. Nothing is computed here: what counts is what a step costs beside arithmetic.
import statistics

from parts import judged
from turns import round_robin

ORDER, SUMMARY = 30, "a training step of 2-8-1 beside FANN (work c)"


def run(bench):
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
    parts = [judged("at most 0.8 us", soma <= 0.8)]
    peer, ratio = failures.get("FANN", "FANN not installed"), ""
    if "FANN" in times:
        peer, ratio = f"FANN {times['FANN'] * 1e6:.2f} us", times["FANN"] / times["Soma"]
        parts.append(judged("faster than FANN", ratio > 1))
        ratio = f"{ratio:.2f}"
    bench.row(name, f"{soma:.2f} us", peer, ratio, "; ".join(parts))
    bench.row("the same by soma_train_on_batch", f"{statistics.median(by_batch) * 1e6:.2f} us", "", "", "")
