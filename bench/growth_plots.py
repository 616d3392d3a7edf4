#!/usr/bin/env python3
# Pictures of what growth.py measured: growth_plots.py growth.json FOLDER. Rests on python3-matplotlib.
# One picture a series, and growth.png with all of them: the cost of a unit (left) and the memory (right) on logarithmic
# axes, so that a cost that stays the same is a level line.
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402  (the backend is chosen before)

BLUE, ORANGE = "#0072b2", "#d55e00"


def set_range(axes, values):
    """Two decades at least, so that noise looks like noise; whole numbers at the ticks."""
    middle = (min(values) * max(values)) ** 0.5
    axes.set_ylim(min(min(values) / 2, middle / 10), max(max(values) * 2, middle * 10))
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def draw(axes, result):
    points = result["points"]
    values = [point["value"] for point in points]
    costs = [point["cost"] * 1e6 for point in points]
    axes.loglog(values, costs, "o-", color=BLUE, markersize=3)
    set_range(axes, costs)
    axes.set_xlabel(result["axis"], fontsize=8)
    axes.set_ylabel(f"us a {result['unit']}", color=BLUE, fontsize=8)
    axes.set_title(result["title"], fontsize=9)
    axes.grid(True, which="major", color="#e6e9ec")
    axes.tick_params(labelsize=7)
    memory = axes.twinx()
    peaks = [point["peak_bytes"] / 1e6 for point in points]
    memory.loglog(values, peaks, ".--", color=ORANGE, linewidth=0.8, markersize=3)
    set_range(memory, peaks)
    memory.set_ylabel("peak memory, MB", color=ORANGE, fontsize=8)
    memory.tick_params(labelsize=7)


def main():
    data, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    drawn = {name: result for name, result in data["series"].items() if result["points"]}
    for name, result in drawn.items():
        figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
        draw(axes, result)
        figure.savefig(folder / f"growth-{name}.png", dpi=150)
        pyplot.close(figure)
    columns = 2
    rows = -(-len(drawn) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(9, 2.7 * rows), layout="constrained", squeeze=False)
    for axes in list(grid.flat)[len(drawn):]:
        axes.set_visible(False)
    for axes, result in zip(grid.flat, drawn.values()):
        draw(axes, result)
    figure.suptitle(f"{data['machine']}, {data['date']}, one thread", fontsize=8)
    figure.savefig(folder / "growth.png", dpi=72)


main()
