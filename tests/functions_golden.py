#!/usr/bin/env python3
# Makes tests/functions_golden.h: losses and activations beyond the first ones, as PyTorch computes them in float64.
# Rests on PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 tests/functions_golden.py >tests/functions_golden.h; make fmt
# Where PyTorch has the function, that is the case; else Keras' formula is written out, with PyTorch's gradient.
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
eps = 1e-7


def emit(name, values):
    flat = np.asarray(values, dtype=float).ravel()
    print(f"static const double {name}[] = {{")
    for i in range(0, len(flat), 5):
        print("    " + " ".join(f"{float(v)!r}," for v in flat[i : i + 5]))
    print("};")


print(f"/* Values from PyTorch {torch.__version__} in float64; made by functions_golden.py.\n"
      " * Rests on nothing.\n * Names: what is computed, then what of it. */")
print("#ifndef TESTS_FUNCTIONS_GOLDEN_H\n#define TESTS_FUNCTIONS_GOLDEN_H\n")

# ---- activations ----
points = np.array([-7.5, -3.25, -1.5, -0.3, 0.2, 0.4, 0.9, 1.7, 2.5, 8.0])
cotangent = np.linspace(-1, 2, len(points))
emit("points", points)
emit("cotangent", cotangent)


def sparsemax(x):
    z, _ = torch.sort(x, descending=True)
    sums, k = z.cumsum(0), torch.arange(1, len(z) + 1)
    n = int((1 + k * z > sums).sum())
    return torch.clamp(x - (sums[n - 1] - 1) / n, min=0)


one = torch.ones(())
activations = {
    "hard_shrink": lambda x: F.hardshrink(x, 0.5),
    "soft_shrink": lambda x: F.softshrink(x, 0.5),
    "tanh_shrink": F.tanhshrink,
    "sparse_sigmoid": lambda x: torch.clamp((x + 1) / 2, 0, 1),
    "sparse_plus": lambda x: torch.where(x <= -1, 0 * x, torch.where(x < 1, (x + 1) ** 2 / 4, x)),
    "squareplus": lambda x: (x + torch.sqrt(x * x + 4)) / 2,
    "glu": lambda x: F.glu(x, -1),
    "sparsemax": lambda x: sparsemax(x / 4),  # three of the ten are above the threshold
}
for name, f in activations.items():
    x = torch.tensor(points, requires_grad=True)
    y = f(x)
    (y * torch.tensor(cotangent[: len(y)])).sum().backward()
    emit(f"{name}_y", y.detach().numpy())
    emit(f"{name}_dx", x.grad.numpy())
print("#define ACTIVATION_CASES(X) \\\n    " + " \\\n    ".join(f"X({n})" for n in activations if n != "sparsemax") + "\n")

# ---- losses: 3 samples, 4 classes ----
logits = np.array([[0.3, -1.2, 2.1, 0.4], [-0.5, 0.01, 0.7, -2.0], [4.0, 1.5, -3.0, 0.1]])
soft = np.array([[0.1, 0.2, 0.6, 0.1], [0.9, 0.0, 0.1, 0.0], [0.0, 0.25, 0.25, 0.5]])
onehot = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
signs = np.array([[1.0, -1, 1, 1], [-1, -1, 1, -1], [1, -1, -1, 1]])
numbers = np.array([[1.5, -0.2, 3.0, 0.7], [-2.0, 0.5, 0.1, 4.0], [0.4, 0.3, -1.0, 2.0]])
positive = np.array([[0.3, 1.2, 2.1, 0.4], [0.5, 0.01, 0.7, 2.0], [4.0, 1.5, 3.0, 0.1]])
probabilities = np.array([[0.1, 0.2, 0.6, 0.2], [0.05, 0.3, 0.3, 0.4], [0.9, 0.01, 0.02, 0.03]])
for name in ("logits", "soft", "onehot", "signs", "numbers", "positive", "probabilities"):
    emit(name, globals()[name])


def case(name, y, x, f):
    t = torch.tensor(x, requires_grad=True)
    values = f(torch.tensor(y), t)
    (values * torch.tensor([1.0, -0.5, 2.0])).sum().backward()
    emit(f"{name}_values", values.detach().numpy())
    emit(f"{name}_gradient", t.grad.numpy())


def mean(x):
    return x.mean(-1)


def bce(y, p):
    return F.binary_cross_entropy(torch.clamp(p, eps, 1 - eps), y, reduction="none")


def normal(p):
    return torch.clamp(p / p.sum(-1, keepdim=True), eps, 1 - eps)


def binary_focal(y, p, gamma=2.0, alpha=None, s=0.0):
    y = y * (1 - s) + s / 2
    right = y * p + (1 - y) * (1 - p)
    weight = 1 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
    return mean(weight * (1 - right) ** gamma * bce(y, p))


def categorical_focal(y, p, gamma=2.0, alpha=0.25, s=0.0):
    p, y = normal(p), y * (1 - s) + s / 4
    return -(alpha * (1 - p) ** gamma * y * torch.log(p)).sum(-1)


def dice(y, p, axis):
    return 1 - 2 * (y * p).sum(axis) / (y.sum(axis) + p.sum(axis) + eps)


def tversky(y, p, axis, a=0.5, b=0.5):
    both = (y * p).sum(axis)
    return 1 - both / (both + a * ((1 - y) * p).sum(axis) + b * (y * (1 - p)).sum(axis) + eps)


zero = torch.zeros(())
case("huber", numbers, logits, lambda y, x: mean(F.huber_loss(x, y, reduction="none")))
case("huber_half", numbers, logits, lambda y, x: mean(F.huber_loss(x, y, reduction="none", delta=0.5)))
case("log_cosh", numbers, logits, lambda y, x: mean(torch.log(torch.cosh(x - y))))
case("mape", numbers, logits, lambda y, x: 100 * mean((y - x).abs() / torch.clamp(y.abs(), min=eps)))
case("msle", numbers, positive, lambda y, x: mean((torch.log1p(x) - torch.log1p(torch.clamp(y, min=eps))) ** 2))
case("poisson", positive.T.reshape(3, 4), positive,
     lambda y, x: mean(F.poisson_nll_loss(x, y, log_input=False, eps=eps, reduction="none")))
case("kld", soft, probabilities,
     lambda y, x: F.kl_div(torch.log(x), torch.clamp(y, eps, 1), reduction="none").sum(-1))
case("cosine", numbers, logits, lambda y, x: -F.cosine_similarity(x, y, -1))
case("hinge", signs, logits, lambda y, x: mean(torch.clamp(1 - y * x, min=0)))
case("hinge_bits", onehot, logits, lambda y, x: mean(torch.clamp(1 - (2 * y - 1) * x, min=0)))
case("squared_hinge", signs, logits, lambda y, x: mean(torch.clamp(1 - y * x, min=0) ** 2))
case("categorical_hinge", onehot, logits,
     lambda y, x: torch.clamp(((1 - y) * x).amax(-1) - (y * x).sum(-1) + 1, min=0))
case("multiclass_hinge", onehot, logits, lambda y, x: 4 * F.multi_margin_loss(x, y.argmax(-1), reduction="none"))
case("binary_focal", onehot, probabilities, binary_focal)
case("binary_focal_with", onehot, probabilities, lambda y, p: binary_focal(y, p, 1.5, 0.3, 0.1))
case("categorical_focal", soft, probabilities, categorical_focal)
case("categorical_focal_with", soft, probabilities, lambda y, p: categorical_focal(y, p, 3.0, 0.5, 0.1))
case("smooth_cce", onehot, logits, lambda y, x: F.cross_entropy(x, y.argmax(-1), reduction="none", label_smoothing=0.1))
case("smooth_bce", onehot, probabilities, lambda y, p: mean(bce(y * 0.8 + 0.1, p)))
case("dice_all", onehot, probabilities, lambda y, p: dice(y, p, (0, 1)).expand(3))
case("dice_along", onehot, probabilities, lambda y, p: dice(y, p, -1))
case("tversky_all", onehot, probabilities, lambda y, p: tversky(y, p, (0, 1)).expand(3))
case("tversky_with", onehot, probabilities, lambda y, p: tversky(y, p, -1, 0.3, 0.7))
print("\n#endif")
