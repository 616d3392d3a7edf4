#!/usr/bin/env python3
# Makes tests/convolution_golden.h: convolutions and pools with their gradients, as PyTorch computes them in float64.
# Rests on PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 tests/convolution_golden.py >tests/convolution_golden.h; make fmt
# Inputs are a formula that the test knows too, with many equal elements, so that ties in pools are seen. PyTorch has
# channels first, Soma last; uneven padding is applied before (cut off behind, when transposed).
import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(shape, salt):
    n = int(np.prod(shape))
    return ((np.arange(n) * 37 + salt * 11) % 29 % 13 - 6).reshape(shape) / 4.0


def first(x):  # channels last -> first
    return torch.movedim(x, -1, 1)


def last(x):
    return torch.movedim(x, 1, -1)


def flat_pads(pads):
    return [p for pair in reversed(pads) for p in pair]


def conv(x, w, c):
    n = x.dim() - 2
    y = F.pad(first(x), flat_pads(c["pads"]))
    kernel = w.permute(n + 1, n, *range(n))
    f = [F.conv1d, F.conv2d, F.conv3d][n - 1]
    return last(f(y, kernel, stride=c["strides"], dilation=c["dilation"], groups=c["groups"]))


def conv_transpose(x, w, c):
    n = x.dim() - 2
    f = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][n - 1]
    kernel = w.permute(n + 1, n, *range(n))
    y = f(first(x), kernel, stride=c["strides"], dilation=c["dilation"], groups=c["groups"],
          output_padding=c["extra"])
    for i, (before, after) in enumerate(c["pads"]):
        y = y.narrow(2 + i, before, y.shape[2 + i] - before - after)
    return last(y)


def depthwise(x, w, c):
    n = x.dim() - 2
    y = F.pad(first(x), flat_pads(c["pads"]))
    kernel = w.reshape(*w.shape[:n], 1, -1).permute(n + 1, n, *range(n))
    f = [F.conv1d, F.conv2d, F.conv3d][n - 1]
    return last(f(y, kernel, stride=c["strides"], dilation=c["dilation"], groups=x.shape[-1]))


def max_pool(x, w, c):
    n = x.dim() - 2
    y = F.pad(first(x), flat_pads(c["pads"]), value=-np.inf)
    f = [F.max_pool1d, F.max_pool2d, F.max_pool3d][n - 1]
    return last(f(y, c["size"], stride=c["strides"], dilation=c["dilation"]))


def average_pool(x, w, c):
    n = x.dim() - 2
    f = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][n - 1]
    sums = f(F.pad(first(x), flat_pads(c["pads"])), c["size"], stride=c["strides"])
    seen = f(F.pad(torch.ones_like(first(x)), flat_pads(c["pads"])), c["size"], stride=c["strides"])
    return last(sums / seen)


CASES = [
    ("conv", (2, 9, 3), (3, 3, 2), {}),
    ("conv", (1, 11, 2), (4, 2, 3), dict(strides=[2], dilation=[2], pads=[(1, 2)])),
    ("conv", (2, 8, 4), (3, 2, 6), dict(groups=2, strides=[3], pads=[(2, 0)])),
    ("conv", (2, 6, 5, 2), (3, 2, 2, 3), {}),
    ("conv", (1, 7, 8, 2), (3, 3, 2, 2), dict(strides=[2, 3], pads=[(1, 1), (0, 2)])),
    ("conv", (1, 7, 6, 4), (2, 3, 2, 4), dict(groups=2, dilation=[2, 1], pads=[(1, 0), (1, 1)])),
    ("conv", (2, 5, 5, 3), (1, 1, 3, 4), dict(strides=[2, 2])),
    ("conv", (1, 4, 5, 3, 2), (2, 3, 2, 2, 2), dict(pads=[(1, 0), (1, 1), (0, 0)], strides=[1, 2, 1])),
    ("conv", (1, 3, 4, 5, 4), (2, 2, 3, 2, 2), dict(groups=2, dilation=[1, 2, 1], pads=[(0, 0), (1, 1), (0, 1)])),
    ("conv_transpose", (2, 5, 3), (3, 2, 3), dict(strides=[2], extra=[1])),
    ("conv_transpose", (1, 4, 4), (3, 3, 4), dict(strides=[3], groups=2, dilation=[2], pads=[(1, 2)], extra=[2])),
    ("conv_transpose", (1, 3, 4, 2), (3, 3, 2, 2), dict(strides=[2, 2], pads=[(1, 1), (1, 0)], extra=[1, 0])),
    ("conv_transpose", (1, 4, 3, 2), (2, 3, 3, 2), dict()),
    ("conv_transpose", (1, 2, 3, 4), (1, 2, 3, 4), dict(strides=[2, 3], groups=2)),
    ("conv_transpose", (1, 2, 3, 2, 2), (2, 2, 3, 1, 2), dict(strides=[2, 1, 2], extra=[1, 0, 1])),
    ("depthwise_conv", (2, 8, 3), (3, 3, 2), dict(pads=[(1, 1)], strides=[2])),
    ("depthwise_conv", (1, 5, 6, 3), (3, 3, 3, 1), dict(pads=[(1, 1), (1, 1)])),
    ("depthwise_conv", (1, 6, 7, 2), (2, 3, 2, 3), dict(strides=[2, 1], dilation=[1, 2])),
    ("max_pool", (2, 9, 2), None, dict(size=[2])),
    ("max_pool", (1, 10, 3), None, dict(size=[3], strides=[2], pads=[(1, 1)])),
    ("max_pool", (1, 6, 6, 2), None, dict(size=[2, 2])),
    ("max_pool", (1, 7, 5, 2), None, dict(size=[2, 2])),
    ("max_pool", (1, 7, 7, 2), None, dict(size=[3, 3], strides=[2, 2], pads=[(1, 1), (1, 1)])),
    ("max_pool", (1, 8, 7, 1), None, dict(size=[2, 3], strides=[1, 2], dilation=[2, 1], pads=[(0, 1), (2, 0)])),
    ("max_pool", (1, 4, 4, 5, 2), None, dict(size=[2, 2, 2], strides=[2, 1, 2])),
    ("average_pool", (2, 9, 2), None, dict(size=[2])),
    ("average_pool", (1, 6, 6, 2), None, dict(size=[2, 2])),
    ("average_pool", (1, 7, 6, 2), None, dict(size=[3, 2], strides=[2, 2], pads=[(1, 1), (0, 1)])),
    ("average_pool", (1, 5, 4, 3, 2), None, dict(size=[2, 2, 2], strides=[1, 2, 1], pads=[(1, 0), (0, 0), (1, 1)])),
]
FUNCTIONS = dict(conv=conv, conv_transpose=conv_transpose, depthwise_conv=depthwise, max_pool=max_pool,
                 average_pool=average_pool)


def emit(name, values):
    flat = values.detach().numpy().ravel()
    print(f"static const double {name}[] = {{")
    for i in range(0, len(flat), 8):
        print("    " + " ".join(f"{v!r}," for v in flat[i : i + 8].tolist()))
    print("};")


def braces(values):
    return "{" + ", ".join(str(v) for v in values) + "}"


print(f"/* Convolutions, pools and their gradients from PyTorch {torch.__version__} in float64; made by\n"
      " * convolution_golden.py.\n * Rests on nothing. Long because: it is numbers only. */")
print("#ifndef TESTS_CONVOLUTION_GOLDEN_H\n#define TESTS_CONVOLUTION_GOLDEN_H\n")
table = []
for k, (kind, x_shape, w_shape, options) in enumerate(CASES):
    n = len(x_shape) - 2
    c = dict(strides=options.get("size", [1] * n), dilation=[1] * n, pads=[(0, 0)] * n, groups=1, extra=[0] * n,
             size=[0] * n)
    c.update(options)
    x = torch.tensor(numbers(x_shape, 1), requires_grad=True)
    w = torch.tensor(numbers(w_shape, 2) if w_shape else [0.0], requires_grad=True)
    y = FUNCTIONS[kind](x, w, c)
    dy = torch.tensor(numbers(y.shape, 3))
    (y * dy).sum().backward()
    emit(f"y_{k}", y)
    emit(f"dx_{k}", x.grad)
    if w_shape:
        emit(f"dw_{k}", w.grad)
    strides = [0] * n if "strides" not in options else c["strides"]
    pads = "{" + ", ".join(braces(p) for p in c["pads"]) + "}"
    table.append(f'{{"{kind}", {n}, {braces(x_shape)}, {braces(w_shape or [0])}, {braces(y.shape)}, '
                 f'{braces(c["size"])}, {{.strides = {braces(strides)}, .dilation = {braces(c["dilation"])}, '
                 f'.pads = {pads}, .groups = {c["groups"]}, .extra = {braces(c["extra"])}}}, '
                 f'y_{k}, dx_{k}, {"dw_%d" % k if w_shape else "NULL"}}},')
print("""
static const struct golden_case {
    const char *kind;
    int n; /* axes of places */
    int64_t x[5], w[5], y[5], size[3];
    soma_window_options options;
    const double *y_values, *dx, *dw;
} GOLDEN[] = {""")
print("\n".join("    " + row for row in table))
print("};\n\n#endif")
