#!/usr/bin/env python3
# The table of speed, size and memory: run.py [BUILD] [--quick] [--only PART,...]; make bench calls it.
# Prints the machine's own limits, then a row for each piece of work: Soma, the peers in the same run, the ratio (above 1:
# Soma is faster or smaller), the bar. A piece of work is a file part_NAME.py beside this one and nothing here (parts.py
# says what it has). A peer that is not installed is named so, and scripts/setup.sh bench installs them. Figures are
# medians of rounds in which everyone takes turns.
import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

from parts import ROOT, Bench

COLUMNS = ["row", "Soma", "peer", "ratio", "bar"]


def find_parts():
    """Modules by name, in the order of the table."""
    names = [path.stem[len("part_"):] for path in (ROOT / "bench").glob("part_*.py")]
    parts = {name: importlib.import_module("part_" + name) for name in names}
    return dict(sorted(parts.items(), key=lambda item: item[1].ORDER))


def limits(bench):
    text = subprocess.run([bench.programs / "limits"], capture_output=True, text=True, check=True).stdout
    lines = text.splitlines()
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"Machine: {model[1] if model else 'unknown processor'}, {os.cpu_count()} CPUs, kernels {lines[0].split()[1]}, "
          f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| threads | FMA GFLOP/s | L2 read, copy, triad GB/s | L3 | memory |\n|---|---|---|---|---|")
    for line in lines[1:]:
        words = line.split()
        figures = {words[i]: float(words[i + 1]) for i in range(0, len(words), 2)}
        threads = int(figures["threads"])
        bench.peaks[threads] = figures["gflops"]
        bench.threads = max(bench.threads, threads)
        cells = [", ".join(f"{figures[f'{level}_{kind}']:.0f}" for kind in ("read", "copy", "triad"))
                 for level in ("l2", "l3", "memory")]
        print(f"| {threads} | {figures['gflops']:.0f} | {' | '.join(cells)} |")
    print(flush=True)


def print_table(rows):
    widths = [max(len(row[i]) for row in [COLUMNS] + rows) for i in range(len(COLUMNS))]
    for number, row in enumerate([COLUMNS] + rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    missed = sum("MISSED" in row[4] for row in rows)
    print(f"\n{len(rows)} rows, {missed} with a bar that is missed. Load {os.getloadavg()[0]:.1f} at the end: "
          "above 1 or 2, other programs were measured too.")


def main():
    parts = find_parts()
    parser = argparse.ArgumentParser(description="Soma's speed, size and memory, beside its peers'.",
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="parts:\n" + "\n".join(f"  {name:10} {part.SUMMARY}"
                                                                   for name, part in parts.items()))
    parser.add_argument("build", nargs="?", default="build", help="folder of the build (default build)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", default=",".join(parts), metavar="PART,...", help="these parts (default: all)")
    options = parser.parse_args()
    chosen = options.only.split(",")
    for name in chosen:
        if name not in parts:
            parser.error(f"--only: no part '{name}'; there are {', '.join(parts)}")
    build = Path(options.build).resolve()
    os.chdir(ROOT)
    bench = Bench(build, options.quick)
    limits(bench)
    try:
        for name in chosen:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            try:
                parts[name].run(bench)
            except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
                bench.row(name, f"failed: {error}", "", "", "")
    finally:
        print_table(bench.rows)


if __name__ == "__main__":
    main()
