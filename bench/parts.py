# What the parts of the bench share: the Bench they report to, and how each peer is set up at its best.
# A part is a file part_NAME.py with ORDER (its place in the table), SUMMARY (a line for --help) and run(bench);
# run.py finds it. Rests on turns.py.
import functools
import os
import subprocess
import sys
from pathlib import Path

from turns import Missing, Worker

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's PyTorch
# Environment that no measurement may inherit.
OURS = ("SOMA_THREADS", "SOMA_ISA", "SOMA_LOG", "OMP_NUM_THREADS", "OMP_PROC_BIND", "OPENBLAS_CORETYPE",
        "OPENBLAS_NUM_THREADS", "ATEN_CPU_CAPABILITY", "LD_PRELOAD", "LD_LIBRARY_PATH", "BLIS_NUM_THREADS")


class Bench:
    def __init__(self, build, quick):
        self.build, self.programs, self.quick = build, build / "bench", quick
        self.rows, self.peaks, self.threads = [], {}, 1
        self.avx512 = "avx512f" in Path("/proc/cpuinfo").read_text()
        self.torch_memory = None  # bytes of the tutorial's training, once part_epochs has run

    def row(self, *cells):
        self.rows.append([str(cell) for cell in cells])
        print("  " + " | ".join(self.rows[-1]), file=sys.stderr, flush=True)

    def worker(self, name, program, environment=None, arguments=()):
        return Worker(name, [str(self.programs / program), *arguments], environment, OURS)

    @functools.cache
    def has_module(self, module):
        """Whether Debian's Python has it."""
        return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0

    def start(self, *makers):
        """Workers of what is installed, and the names of what is not."""
        workers, missing = [], []
        for make in makers:
            try:
                workers.append(make())
            except Missing as name:
                missing.append(str(name))
        return workers, missing

    def peer_rows(self, name, ours, times, failures, missing, bars, text):
        """A row for each peer of bars, {name: least ratio or None}; text turns seconds into a cell."""
        for peer, least in bars.items():
            wanted = f"at least {least}" if least else ""
            if peer in times:
                ratio = times[peer] / ours
                self.row(name, text(ours), f"{peer}: {text(times[peer])}", f"{ratio:.2f}",
                         judged(wanted, ratio >= least) if least else "")
            else:
                self.row(name, text(ours), f"{peer}: not installed" if peer in missing else failures.get(peer, ""), "",
                         wanted)


def judged(text, met):
    return f"{text}: {'met' if met else 'MISSED'}"


def plural(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def folder(name):
    return str(LIBRARIES / name) if (LIBRARIES / name).is_dir() else ""


def torch_environment(bench, threads):
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
    return environment


def torch_worker(bench, name, environment, program, *arguments):
    """A Python program of this folder that needs PyTorch."""
    if not bench.has_module("torch"):
        raise Missing(name)
    return Worker(name, [PYTHON, str(ROOT / "bench" / program), *map(str, arguments)], environment, OURS)


def without_ours():
    return {key: value for key, value in os.environ.items() if key not in OURS}
