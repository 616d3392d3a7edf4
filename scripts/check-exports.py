#!/usr/bin/env python3
# Checks libsoma.so against the public headers: it exports soma_* and nothing else, every function that a header
# declares is there, and it stays small. check-exports.py build/libsoma.so
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1_500_000  # bytes of the stripped library

library = sys.argv[1]
listing = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
exported = {line.split()[-1].split("@")[0] for line in listing.splitlines()}

declared = set()
for header in sorted((ROOT / "include" / "soma").glob("*.h")):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"^\s*#.*$", " ", text, flags=re.M)
    for declaration in re.findall(r"\bSOMA_API\b([^;{]*)[;{]", text):
        name = re.search(r"\b(soma_\w+)\s*(\(|\[|$|=)", declaration.replace("SOMA_MUST_CHECK", "").strip())
        if name:
            declared.add(name[1])

failures = 0
for name in sorted(exported):
    if not name.startswith("soma_"):
        print(f"{library} exports {name}, which is not soma_*")
        failures += 1
for name in sorted(declared - exported):
    print(f"{name} is declared in include/soma but not in {library}")
    failures += 1
with tempfile.TemporaryDirectory() as scratch:
    stripped = os.path.join(scratch, "libsoma.so")
    subprocess.run(["strip", "-o", stripped, library], check=True)
    size = os.path.getsize(stripped)
if size >= LARGEST:
    print(f"{library} has {size} bytes stripped, at most {LARGEST} are allowed")
    failures += 1
print(f"{len(exported)} symbols exported, {len(declared)} declared, {size} bytes stripped, {failures} complaints")
sys.exit(1 if failures or not exported or not declared else 0)
