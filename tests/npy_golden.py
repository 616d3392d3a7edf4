#!/usr/bin/env python3
# Makes tests/npy_golden.h: NPY files as NumPy itself writes them, as bytes for tests/test_npy.c.
# Rests on NumPy (Debian: python3-numpy); run by hand when a case is added: tests/npy_golden.py >tests/npy_golden.h; make fmt
# The elements are 0, 1, 2, ... so that the test knows them without being told.
import io
import sys

import numpy as np
from numpy.lib import format as npy

CASES = [  # name, array, version
    ("f4_2x3", np.arange(6, dtype="<f4").reshape(2, 3), (1, 0)),
    ("f8_big", np.arange(4, dtype=">f8"), (1, 0)),
    ("f2", np.arange(3, dtype="<f2"), (1, 0)),
    ("i1", np.arange(3, dtype="i1"), (1, 0)),
    ("i2_big", np.arange(3, dtype=">i2"), (1, 0)),
    ("i4", np.arange(3, dtype="<i4"), (2, 0)),
    ("i8_scalar", np.array(0, dtype="<i8"), (1, 0)),
    ("u1_empty", np.zeros((0, 3), dtype="u1"), (1, 0)),
    ("bool", np.arange(2).astype(bool), (3, 0)),
    ("fortran", np.asfortranarray(np.arange(24, dtype="<i4").reshape(2, 3, 4)), (1, 0)),
    ("object", np.array([None, {}], dtype=object), (1, 0)),
    ("complex", np.arange(2, dtype="<c8"), (1, 0)),
    ("record", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]), (1, 0)),
    ("unicode", np.array(["ab"]), (1, 0)),
    ("u2", np.arange(6, dtype="<u2").reshape(2, 3), (1, 0)),
    ("u2_big", np.array([0, 1, 65535], dtype=">u2"), (1, 0)),
    ("u4", np.array([0, 1, 4294967295], dtype="<u4"), (1, 0)),
    ("u4_fortran", np.asfortranarray(np.arange(6, dtype="<u4").reshape(3, 2)), (1, 0)),
    ("u8", np.array([0, 1, 2**63 - 1], dtype="<u8"), (1, 0)),
    ("u8_beyond", np.array([0, 2**63], dtype=">u8"), (1, 0)),
]

print("/* NPY files as NumPy", np.__version__, "writes them; made by npy_golden.py.\n"
      " * Rests on nothing.\n * Elements are 0, 1, 2, ... in row-major order. */")
print("#ifndef TESTS_NPY_GOLDEN_H\n#define TESTS_NPY_GOLDEN_H\n")
for name, array, version in CASES:
    file = io.BytesIO()
    npy.write_array(file, array, version=version)
    data = file.getvalue()
    print(f"static const unsigned char npy_{name}[] = {{")
    for i in range(0, len(data), 24):
        print("    " + " ".join(f"{b}," for b in data[i : i + 24]))
    print("};")
print("\n#endif")
sys.stdout.flush()
