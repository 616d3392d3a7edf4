#!/usr/bin/env python3
# Makes tests/golden/preprocessing.txt: layers that prepare data, as PyTorch and NumPy compute them in float64.
# Rests on layer_cases.py, PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 -B tests/golden/preprocessing.py >tests/golden/preprocessing.txt
import numpy as np
import torch

from layer_cases import case, normal

print("# Values from PyTorch", torch.__version__, "in float64; made by preprocessing.py.")


# ---- normalization: mean, variance, count ----
def deviation(variance):
    return torch.sqrt(variance).clamp(min=1e-7)


def positive(*shape):
    return np.abs(normal(*shape)) + 0.1


case("normalization", ("normalization", {}), [normal(4, 3)], [normal(3), positive(3), np.array(4.0)],
     lambda x, w: (x[0] - w[0]) / deviation(w[1]) + 0 * w[2])
case("normalization, constant feature", ("Normalization", {"axis": -1}), [normal(4, 2)],
     [normal(2), np.array([0.5, 1e-15]), np.array(4.0)], lambda x, w: (x[0] - w[0]) / deviation(w[1]) + 0 * w[2])
case("normalization, two axes", ("normalization", {"axis": [1, 2]}), [normal(2, 3, 4, 2)],
     [normal(3, 4), positive(3, 4), np.array(1.0)],
     lambda x, w: (x[0] - w[0][..., None]) / deviation(w[1])[..., None] + 0 * w[2])
case("normalization, no axis", ("normalization", {"axis": None}), [normal(2, 1, 3)],
     [np.array(0.3), np.array(2.5), np.array(9.0)], lambda x, w: (x[0] - w[0]) / deviation(w[1]) + 0 * w[2])
case("normalization, inverse", ("normalization", {"axis": 1, "invert": True}), [normal(3, 2, 4)],
     [normal(2), positive(2), np.array(1.0)],
     lambda x, w: w[0][:, None] + x[0] * deviation(w[1])[:, None] + 0 * w[2])
case("normalization, given", ("normalization", {"mean": [1.5, -2, 0.25], "variance": [4, 0.5, 9]}), [normal(3, 3)], [],
     lambda x, w: (x[0] - torch.tensor([1.5, -2, 0.25])) / torch.tensor([4, 0.5, 9]).sqrt())
case("normalization, one for all", ("normalization", {"mean": 3, "variance": 16}), [normal(3, 3)], [],
     lambda x, w: (x[0] - 3) / 4)
