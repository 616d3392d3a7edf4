# What moves more than it computes: updates of 10 million weights, softmax, layer normalization and cross-entropy, beside
# the machine's own limit and PyTorch. Rests on updates_soma.c, on updates_limit.c (a plain loop over as many arrays that
# are read, updated in place, or only written; the faster of writing through the caches and past them), updates_torch.py.
from parts import judged, plural, torch_environment, torch_worker
from turns import round_robin

ORDER, SUMMARY = 65, "updates of 10 M weights, softmax, normalization and cross-entropy beside the memory's limit"
PEER = "PyTorch at its best"
# What, rows, columns, and how many arrays are read, updated, only written. A row that outgrows the second cache has to
# be read twice, for what it is divided by is known at its end.
WORKS = [("rmsprop", 1, 10_000_000, 1, 2, 0), ("adam", 1, 10_000_000, 1, 3, 0),
         ("softmax", 1_000_000, 10, 1, 0, 1), ("softmax", 10_000, 1000, 1, 0, 1), ("softmax", 199, 50257, 1, 0, 1),
         ("softmax", 1, 10_000_000, 2, 0, 1),
         ("layernorm", 10_000, 1000, 1, 0, 1), ("layernorm", 199, 50257, 1, 0, 1),
         ("crossentropy", 1_000_000, 10, 1, 0, 1), ("crossentropy", 10_000, 1000, 1, 0, 1),
         ("crossentropy", 199, 50257, 1, 0, 1)]


def row(bench, work, threads, workers, missing):
    what, rows, columns, reads, updates, writes = work
    seconds = 0.15 if bench.quick else 0.5

    def ask(worker):
        if worker.name == "limit":
            return float(worker.ask(f"{reads} {updates} {writes} {rows * columns} {threads} {seconds}"))
        return float(worker.ask(f"{what} {rows} {columns} {seconds}"))

    times, failures = round_robin(workers, 3 if bench.quick else 7, ask)
    name = f"{what} {rows}x{columns}, {plural(threads)}"
    if "Soma" not in times or "limit" not in times:
        bench.row(name, failures.get("Soma") or failures.get("limit", "not built"), "", "", "")
        return
    soma, limit = times["Soma"], times["limit"]
    moved = 4e-9 * rows * columns * (reads + 2 * updates + writes)
    bench.row(name, f"{soma * 1e3:.2f} ms, {moved / soma:.1f} GB/s", f"limit {limit * 1e3:.2f} ms, {moved / limit:.1f}",
              f"{limit / soma:.2f}", judged("at least 0.85", limit / soma >= 0.85))
    bench.peer_rows(name, soma, times, failures, missing, {PEER: None}, lambda t: f"{t * 1e3:.2f} ms")


def run(bench):
    for threads in sorted(bench.peaks, reverse=True):
        workers, missing = bench.start(
            lambda: bench.worker("Soma", "updates_soma", {"SOMA_THREADS": str(threads)}),
            lambda: bench.worker("limit", "updates_limit"),
            lambda: torch_worker(bench, PEER, torch_environment(bench, threads), "updates_torch.py", threads))
        for work in WORKS:
            row(bench, work, threads, workers, missing)
        for worker in workers:
            worker.end()
