# The size of the library as it is shipped. Rests on strip.
import os
import subprocess
import tempfile

from parts import judged

ORDER, SUMMARY = 90, "the library's size"


def run(bench):
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["strip", "-o", f"{scratch}/libsoma.so", bench.build / "libsoma.so"], check=True)
        size_bytes = os.path.getsize(f"{scratch}/libsoma.so")
    bench.row("libsoma.so stripped", f"{size_bytes / 1e6:.2f} MB", "", "", judged("under 1.5 MB", size_bytes < 1.5e6))
