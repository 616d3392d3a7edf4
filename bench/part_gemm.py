# Products of matrices: the shapes of the tutorial's network and squares, beside oneDNN, OpenBLAS and BLIS.
# Rests on gemm_worker.c with one gemm_LIBRARY.c each; every result is checked before it is timed.
from parts import judged, plural
from turns import round_robin

ORDER, SUMMARY = 60, "products of matrices beside oneDNN, OpenBLAS and BLIS"
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


def workers_of(bench, threads):
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
    name = f"sgemm {m}x{n}x{k}, {what}, {plural(threads)}"
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


def run(bench):
    for threads in sorted(bench.peaks, reverse=True):
        workers, missing = workers_of(bench, threads)
        for shape in SHAPES:
            gemm_row(bench, shape, threads, workers, missing)
        for worker in workers:
            worker.end()
