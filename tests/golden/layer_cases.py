# What the scripts that make golden layers share: random weights, and a case as text.
# Rests on PyTorch and NumPy. A case is a layer as JSON, what goes in, its weights, what comes out, which may be several
# results, and the gradients of sum(cos(0, 1, ...) * result), added up over the results.
import json

import numpy as np
import torch

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
    ys = y if isinstance(y, tuple) else (y,)
    sum((y * torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)).sum() for y in ys).backward()
    for x in xs:
        put("input", x.detach().numpy())
    for w in ws:
        put("weight", w.detach().numpy())
    for y in ys:
        put("output", y.detach().numpy())
    for x in xs:
        if x.requires_grad:
            put("dinput", (x.grad if x.grad is not None else torch.zeros_like(x)).numpy())
    for w in ws:
        put("dweight", (w.grad if w.grad is not None else torch.zeros_like(w)).numpy())
    print("end")
