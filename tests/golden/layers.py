#!/usr/bin/env python3
# Makes tests/golden/layers.txt: results and gradients of layers as PyTorch computes them in float64.
# Rests on PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 tests/golden/layers.py >tests/golden/layers.txt
# Weights are in Keras' shapes and order; where PyTorch's differ they are turned here. A case is a layer as JSON, what
# goes in, its weights, what comes out, and the gradients of sum(cos(0, 1, ...) * result).
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
random = np.random.RandomState(7)


def normal(*shape):
    return random.standard_normal(shape).round(3)


def put(word, array):
    array = np.asarray(array)
    kind = "i" if array.dtype.kind in "iu" else "f"
    numbers = " ".join(repr(v) for v in array.ravel().tolist())
    print(word, kind, array.ndim, *array.shape, numbers)


def case(name, layer, inputs, weights, function, training=False):
    kind, config = layer
    print("case", name)
    print("layer", json.dumps({kind: {**config, "dtype": "float64"}}))
    print("training", int(training))
    xs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    ws = [torch.tensor(w, requires_grad=True) for w in weights]
    y = function(xs, ws)
    c = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    (y * c).sum().backward()
    for x in xs:
        put("input", x.detach().numpy())
    for w in ws:
        put("weight", w.detach().numpy())
    put("output", y.detach().numpy())
    for x in xs:
        if x.requires_grad:
            put("dinput", (x.grad if x.grad is not None else torch.zeros_like(x)).numpy())
    for w in ws:
        put("dweight", (w.grad if w.grad is not None else torch.zeros_like(w)).numpy())
    print("end")


print("# Values from PyTorch", torch.__version__, "in float64; made by layers.py.")

# ---- normalization ----
case("layer norm", ("layer_normalization", {}), [normal(3, 4, 5)], [normal(5), normal(5)],
     lambda x, w: F.layer_norm(x[0], (5,), w[0], w[1], 1e-3))
case("layer norm, other axis", ("LayerNormalization", {"axis": 1, "epsilon": 0.1, "center": False}), [normal(3, 4, 5)],
     [normal(4)], lambda x, w: F.layer_norm(x[0].transpose(1, 2), (4,), w[0], None, 0.1).transpose(1, 2))
case("rms norm", ("rms_normalization", {"epsilon": 0.01}), [normal(3, 6)], [normal(6)],
     lambda x, w: x[0] / torch.sqrt((x[0] ** 2).mean(-1, keepdim=True) + 0.01) * w[0])
case("group norm", ("group_normalization", {"groups": 3}), [normal(2, 4, 5, 6)], [normal(6), normal(6)],
     lambda x, w: F.group_norm(x[0].permute(0, 3, 1, 2), 3, w[0], w[1], 1e-3).permute(0, 2, 3, 1))
case("group norm, channels first", ("group_normalization", {"groups": 2, "axis": 1}), [normal(2, 4, 3)],
     [normal(4), normal(4)], lambda x, w: F.group_norm(x[0], 2, w[0], w[1], 1e-3))
case("instance norm", ("instance_normalization", {"epsilon": 1e-5}), [normal(2, 3, 4, 3)], [normal(3), normal(3)],
     lambda x, w: F.instance_norm(x[0].permute(0, 3, 1, 2), None, None, w[0], w[1], True, 0, 1e-5).permute(0, 2, 3, 1))
bn = [normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.1]
case("batch norm, training", ("batch_normalization", {}), [normal(4, 2, 3)], bn,
     lambda x, w: F.batch_norm(x[0].transpose(1, 2), None, None, w[0], w[1], True, 0, 1e-3).transpose(1, 2), True)
case("batch norm", ("batch_normalization", {}), [normal(4, 2, 3)], bn,
     lambda x, w: (x[0] - w[2]) / torch.sqrt(w[3] + 1e-3) * w[0] + w[1])
case("batch norm, frozen", ("batch_normalization", {"trainable": False, "axis": 1, "scale": False}), [normal(4, 3, 2)],
     bn[1:], lambda x, w: ((x[0].transpose(1, 2) - w[1]) / torch.sqrt(w[2] + 1e-3) + w[0]).transpose(1, 2), True)
