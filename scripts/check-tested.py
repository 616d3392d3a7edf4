#!/usr/bin/env python3
# Says which of the names that configurations take have their values tested: against another program (a golden file made
# by a script beside it) or against plain loops in a unit test. Fails when one has neither. --list shows all.
# Rests on the .def lists, which make these names: a name, or another of the same function, must stand in a test that
# asserts values. cli_everything, which trains with each of them, is not counted: it sees that they run, not what they do.
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = {"layers": "src/nn/layers.def", "activations": "src/nn/activations.def", "losses": "src/nn/losses.def",
         "metrics": "src/nn/metrics.def", "initializers": "src/nn/initializers.def",
         "regularizers": "src/nn/regularizers.def", "constraints": "src/nn/constraints.def",
         "optimizers": "src/nn/optimizers.def", "schedules": "src/nn/schedules.def",
         "callbacks": "src/train/callbacks.def"}


def entries(path):
    """Of each line its name and the symbols behind it."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(), flags=re.S)
    for line in re.findall(r"^[A-Z_]+\((.*)", text, flags=re.M):
        name = re.match(r'"?(\w+)"?', line).group(1)
        yield name, set(re.findall(r"\b(?:soma|build|metric|penalty|constrain|schedule)_\w+", line))


def flat(word):
    return word.replace("_", "").lower()


def main():
    golden = {p: p.read_text() for pattern in ("tests/*golden*.py", "tests/golden/*.py") for p in ROOT.glob(pattern)}
    plain = {p: p.read_text() for p in ROOT.glob("tests/test_*.c")}
    # classes that have a case among the layers, by any spelling
    cases = {flat(word) for p in ROOT.glob("tests/golden/*.txt") for line in p.read_text().splitlines()
             if line.startswith("layer ") for word in re.findall(r'"(\w+)": \{', line)}
    words = [(f"{p.name}", set(re.findall(r"\w+", text))) for p, text in {**golden, **plain}.items()]
    holes = 0
    for what, path in LISTS.items():
        symbols = {}
        for name, behind in entries(path):
            symbols.setdefault(frozenset(behind) or name, set()).add(name)
        for behind, names in symbols.items():
            spelt = set(names) | (set(behind) if isinstance(behind, frozenset) else set())
            spelt |= {f"soma_{name}" for name in names} | {f"soma_{name}_layer" for name in names}
            spelt |= {f"soma_{name[:-6]}_layer" for name in names if name.endswith("_layer")}
            spelt |= {name.title().replace("_", "") for name in names}  # HeNormal
            found = sorted({file for file, there in words if spelt & there}, key=lambda f: ("golden" not in f, f))
            if what == "layers" and any(flat(name).removesuffix("layer") in cases for name in names):
                found.insert(0, "a golden case")
            if not found:
                holes += 1
                print(f"{what}: nothing tests the values of {', '.join(sorted(names))}")
            elif "--list" in sys.argv:
                print(f"{what}: {', '.join(sorted(names))}: {', '.join(found)}")
    if holes:
        print("Add a case to a script of golden values, or a unit test against plain loops: docs/dev/tests.md.")
    return holes != 0


sys.exit(main())
