#!/usr/bin/env python3
# Makes tests/golden/axes.txt: layers along several axes together, as PyTorch computes them in float64.
# Rests on layer_cases.py, PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 -B tests/golden/axes.py >tests/golden/axes.txt
import torch
import torch.nn.functional as F

from layer_cases import case, normal

print("# Values from PyTorch", torch.__version__, "in float64; made by axes.py.")

case("layer norm, two axes", ("layer_normalization", {"axis": [1, 2]}), [normal(3, 4, 5)], [normal(4, 5), normal(4, 5)],
     lambda x, w: F.layer_norm(x[0], (4, 5), w[0], w[1], 1e-3))
case("layer norm, the first ones", ("LayerNormalization", {"axis": [-2, 1], "epsilon": 0.1}), [normal(2, 3, 4, 2)],
     [normal(3, 4), normal(3, 4)],
     lambda x, w: F.layer_norm(x[0].permute(0, 3, 1, 2), (3, 4), w[0], w[1], 0.1).permute(0, 2, 3, 1))
case("layer norm, apart", ("LayerNormalization", {"axis": [1, 3], "center": False}), [normal(2, 3, 4, 2)],
     [normal(3, 2)], lambda x, w: F.layer_norm(x[0].transpose(1, 2), (3, 2), w[0], None, 1e-3).transpose(1, 2))
case("rms norm, two axes", ("rms_normalization", {"axis": [1, 2], "epsilon": 0.01}), [normal(3, 2, 6)], [normal(2, 6)],
     lambda x, w: x[0] / torch.sqrt((x[0] ** 2).mean((1, 2), keepdim=True) + 0.01) * w[0])
case("unit norm, two axes", ("unit_normalization", {"axis": [1, 3]}), [normal(2, 3, 4, 2)], [],
     lambda x, w: x[0] / torch.sqrt((x[0] ** 2).sum((1, 3), keepdim=True)))
case("softmax, two axes", ("Softmax", {"axis": [1, 2]}), [normal(3, 4, 2)], [],
     lambda x, w: F.softmax(x[0].flatten(1), 1).reshape(x[0].shape))
case("softmax, apart", ("softmax_layer", {"axis": [1, -1]}), [3 * normal(2, 3, 2, 2)], [],
     lambda x, w: F.softmax(x[0].transpose(1, 2).flatten(2), 2).reshape(2, 2, 3, 2).transpose(1, 2))
