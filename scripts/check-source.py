#!/usr/bin/env python3
# Checks the rules of the tree that no compiler knows: the direction of the includes, the size and the names of files,
# where the optional libraries may be seen, and that the code in README is an example's.
# Rests on the text of the files alone; prints what breaks a rule.
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a folder under src/ may include, besides itself and <soma/...>: always downwards.
FLOORS = {
    "base": [],
    "cpu": ["base"],
    "tensor": ["base", "cpu"],
    "ops": ["base", "cpu", "tensor"],
    "plan": ["base", "cpu", "tensor", "ops"],
    "nn": ["base", "tensor", "ops", "formats"],
    "data": ["base", "cpu", "tensor", "ops", "formats"],
    "formats": ["base", "tensor", "ops"],
    "train": ["base", "cpu", "tensor", "ops", "plan", "nn", "data", "formats"],
    "dist": ["base", "tensor", "ops", "plan"],
    "evolve": ["base", "tensor", "ops", "plan", "nn", "data", "train"],
}
# These see the public headers and their own folder's only, as any user of the installed library.
USERS = ["cli", "web", "examples"]
# A header of an optional library may be included by files with this suffix only: the rest builds without it.
LIBRARIES = {"zlib.h": "zlib", "png.h": "png", "jansson.h": "jansson", "yaml.h": "yaml", "cairo.h": "cairo",
             "cairo-pdf.h": "cairo", "cairo-svg.h": "cairo"}
LONGEST = 800

complaints = []


def complain(path, line, text):
    complaints.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def") and path.is_file():
                yield path


def check_include(path, number, form, target):
    parts = path.relative_to(ROOT).parts
    suffix = LIBRARIES.get(target.split("/")[-1]) if form == "<" else None
    if suffix and parts[0] in ("src", "cli", "web") and not re.search(rf"_(lib)?{suffix}$", path.stem):
        complain(path, number, f"<{target}> belongs into a file named ..._{suffix}.c, with a ..._stub.c beside it")
    if form == "<" or parts[0] in ("tests", "bench"):
        return
    if parts[0] == "include":
        complain(path, number, f'a public header includes <soma/...> and the standard library, not "{target}"')
    elif parts[0] in USERS:
        if "/" in target or not (path.parent / target).exists():
            complain(path, number, f'{parts[0]}/ sees <soma/...> and its own folder only, not "{target}"')
    elif parts[0] == "src":
        floor, wanted = parts[1], target.split("/")[0]
        if "/" not in target:
            complain(path, number, f'write "{floor}/{target}": internal headers are named with their floor')
        elif floor not in FLOORS:
            complain(path, number, f"src/{floor} is not in the table of floors of scripts/check-source.py")
        elif wanted != floor and wanted not in FLOORS[floor]:
            complain(path, number, f'{floor} may include {", ".join(FLOORS[floor] + [floor])}, not "{target}"')


def check_text(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].startswith("/*"):
        complain(path, 1, "a file opens with a comment: what it is, what it rests on, why this way")
    if len(lines) > LONGEST and not any("Long because:" in line for line in lines):
        complain(path, len(lines), f'{len(lines)} lines, more than {LONGEST}: divide it, or say why ("Long because: ...")')
    for number, line in enumerate(lines, 1):
        include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if include:
            check_include(path, number, include[1], include[2])


def check_names():
    places = defaultdict(list)
    for path in sources("include", "src", "cli", "web", "tests", "bench", "examples"):
        places[path.name].append(path)
    for paths in places.values():
        for path in paths[1:]:
            complain(path, 1, f"the name is taken by {paths[0].relative_to(ROOT)}: names of files are unique in the tree")


def check_quotes():
    """Code in README.md under <!-- examples/x.c ... --> is that example's, word for word, so it compiles and runs."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for match in re.finditer(r"<!-- (examples/[\w-]+\.\w+)\b[^>]*-->\n+```\w*\n(.*?)```", text, re.S):
        example = ROOT / match[1]
        if not example.exists() or match[2] not in example.read_text(encoding="utf-8"):
            complain(readme, text[:match.start()].count("\n") + 1, f"this is not what stands in {match[1]}")
    for match in re.finditer(r"(.*)\n+```c\n", text):
        if not re.match(r"<!-- examples/", match[1]):
            complain(readme, text[:match.start(1)].count("\n") + 2, "C code in README.md must be an example's")


count = 0
for source in sources("include", "src", "cli", "web", "tests", "bench", "examples"):
    check_text(source)
    count += 1
check_names()
check_quotes()
for complaint in complaints:
    print(complaint)
print(f"{count} files, {len(complaints)} complaints")
sys.exit(1 if complaints or count == 0 else 0)
