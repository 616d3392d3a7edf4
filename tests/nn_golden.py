#!/usr/bin/env python3
# Makes tests/nn_golden.h: activations, losses, optimizers and a training run as PyTorch computes them in float64.
# Rests on PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 tests/nn_golden.py >tests/nn_golden.h; make fmt
# Where Keras' formula is not PyTorch's (epsilon inside a root, clipping of probabilities) it is written out here, and
# compared with PyTorch's where the two must agree.
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def emit(name, values):
    flat = np.asarray(values, dtype=float).ravel()
    print(f"static const double {name}[] = {{")
    for i in range(0, len(flat), 5):
        print("    " + " ".join(f"{v!r}," for v in flat[i : i + 5]))
    print("};")


print(f"/* Values from PyTorch {torch.__version__} in float64; made by nn_golden.py.\n"
      " * Rests on nothing.\n * Names: what is computed, then what of it. Long because: it is numbers only. */")
print("#ifndef TESTS_NN_GOLDEN_H\n#define TESTS_NN_GOLDEN_H\n")

# ---- activations: values and derivatives at these points; 0 is a kink of some ----
points = np.array([-7.5, -3.25, -3.0, -1.5, -1.0, -0.3, 0.0, 0.2, 0.9, 1.0, 2.5, 3.0, 6.0, 8.0])
emit("points", points)
activations = {
    "linear": lambda x: x * 1,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "softplus": lambda x: torch.log1p(torch.exp(-x.abs())) + torch.where(x > 0, x, torch.zeros_like(x)),
    "softsign": F.softsign,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "hard_tanh": F.hardtanh,
    "exponential": torch.exp,
    "log_sigmoid": F.logsigmoid,
    "relu6": F.relu6,
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1),
}
smooth_points = [i for i, p in enumerate(points) if p not in (-3.0, -1.0, 0.0, 1.0, 3.0, 6.0)]
emit("smooth", smooth_points)
weights = np.linspace(-1, 2, len(points))
emit("cotangent", weights)
print("\n/* X(name): <name>_y values, <name>_dx gradient of sum(cotangent * y) */")
for name, f in activations.items():
    x = torch.tensor(points, requires_grad=True)
    y = f(x)
    (y * torch.tensor(weights)).sum().backward()
    emit(f"{name}_y", y.detach().numpy())
    emit(f"{name}_dx", x.grad.numpy())
print("#define ACTIVATION_CASES(X) \\\n    " + " \\\n    ".join(f"X({name})" for name in activations) + "\n")

# ---- losses: 3 samples, 4 classes ----
logits = np.array([[0.3, -1.2, 2.1, 0.4], [-0.5, 0.0, 0.7, -2.0], [4.0, 1.5, -3.0, 0.1]])
onehot = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
indices = onehot.argmax(-1)
soft = np.array([[0.1, 0.2, 0.6, 0.1], [0.9, 0.0, 0.1, 0.0], [0.0, 0.25, 0.25, 0.5]])
probabilities = np.array([[0.1, 0.2, 0.6, 0.2], [0.0, 0.3, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])  # not all sum to 1
emit("logits", logits)
emit("onehot", onehot)
emit("indices", indices)
emit("soft", soft)
emit("probabilities", probabilities)


def case(name, y, x, f):
    t = torch.tensor(x, requires_grad=True)
    values = f(torch.tensor(y), t)
    (values * torch.tensor([1.0, -0.5, 2.0])).sum().backward()
    emit(f"{name}_values", values.detach().numpy())
    emit(f"{name}_gradient", t.grad.numpy())


eps = 1e-7


def keras_cce(y, p):
    p = p / p.sum(-1, keepdim=True)
    return -(y * torch.log(torch.clamp(p, eps, 1 - eps))).sum(-1)


def keras_bce(y, p):
    p = torch.clamp(p, eps, 1 - eps)
    return F.binary_cross_entropy(p, y, reduction="none").mean(-1)


case("mse", soft, logits, lambda y, x: F.mse_loss(x, y, reduction="none").mean(-1))
case("mae", soft, logits, lambda y, x: F.l1_loss(x, y, reduction="none").mean(-1))
case("cce_logits", soft, logits, lambda y, x: F.cross_entropy(x, y, reduction="none"))
case("scce_logits", indices, logits, lambda y, x: F.cross_entropy(x, y, reduction="none"))
case("bce_logits", soft, logits, lambda y, x: F.binary_cross_entropy_with_logits(x, y, reduction="none").mean(-1))
case("cce", soft, probabilities, keras_cce)
case("scce", onehot, probabilities, keras_cce)
case("bce", soft, probabilities, keras_bce)

# ---- optimizers: five steps with given gradients, Keras' formulas; the weights after each step ----
rng = np.random.default_rng(7)
w0 = rng.normal(size=6)
grads = rng.normal(size=(5, 6)) * np.array([1, 1e-3, 10, 1, 1, 1e-5])
grads[2, 4] = 0
emit("weights0", w0)
emit("gradients", grads)


class Keras:
    """One weight and its state, updated as Keras 3 documents its optimizers."""

    def __init__(self, rule, decay=0.0, clip=lambda g: g, lr=0.001):
        self.rule, self.decay, self.clip, self.lr, self.state = rule, decay, clip, lr, {}

    def run(self):
        w, out = w0.copy(), []
        for t, g in enumerate(grads, 1):
            g = self.clip(g)
            w = w - w * self.decay * self.lr
            w = self.rule(w, g, t, self.lr, self.state)
            out.append(w.copy())
        return np.array(out)


def slot(s, name):
    return s.get(name, np.zeros_like(w0))


def sgd(momentum=0.0, nesterov=False):
    def rule(w, g, t, lr, s):
        if momentum == 0:
            return w - lr * g
        s["m"] = momentum * slot(s, "m") - lr * g
        return w + (momentum * s["m"] - lr * g if nesterov else s["m"])

    return rule


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(w, g, t, lr, s):
        s["v"] = rho * slot(s, "v") + (1 - rho) * g * g
        d = s["v"]
        if centered:
            s["a"] = rho * slot(s, "a") + (1 - rho) * g
            d = d - s["a"] ** 2
        step = lr * g / np.sqrt(d + epsilon)
        if momentum:
            s["m"] = step = momentum * slot(s, "m") + step
        return w - step

    return rule


def adam(b1=0.9, b2=0.999, epsilon=1e-7, amsgrad=False):
    def rule(w, g, t, lr, s):
        alpha = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
        s["m"] = slot(s, "m") + (g - slot(s, "m")) * (1 - b1)
        s["v"] = slot(s, "v") + (g * g - slot(s, "v")) * (1 - b2)
        v = s["v"]
        if amsgrad:
            s["h"] = v = np.maximum(slot(s, "h"), v)
        return w - s["m"] * alpha / (np.sqrt(v) + epsilon)

    return rule


def clip_norm(limit):
    return lambda g: g * limit / max(np.sqrt((g * g).sum()), limit)


def clip_value(limit):
    return lambda g: np.clip(g, -limit, limit)


cases = {
    "sgd": Keras(sgd(), lr=0.01),
    "sgd_momentum": Keras(sgd(0.9), lr=0.01),
    "sgd_nesterov": Keras(sgd(0.9, True), lr=0.01),
    "sgd_decay": Keras(sgd(), lr=0.01, decay=0.1),
    "sgd_clipnorm": Keras(sgd(), lr=0.01, clip=clip_norm(1.5)),
    "sgd_clipvalue": Keras(sgd(), lr=0.01, clip=clip_value(0.5)),
    "rmsprop": Keras(rmsprop()),
    "rmsprop_momentum": Keras(rmsprop(momentum=0.5)),
    "rmsprop_centered": Keras(rmsprop(rho=0.8, centered=True, momentum=0.9), lr=0.01),
    "adam": Keras(adam()),
    "adam_no_beta_1": Keras(adam(b1=0.0), lr=0.01),
    "adam_amsgrad": Keras(adam(b2=0.5, amsgrad=True), lr=0.01),
    "adamw": Keras(adam(), decay=0.004),
}


def check(name, make, lr, tiny_epsilon_rule):
    """The same formula with an epsilon of next to nothing against PyTorch's optimizer with the same."""
    w = torch.tensor(w0, requires_grad=True)
    optimizer = make([w])
    for g in grads:
        w.grad = torch.tensor(g)
        optimizer.step()
    assert np.allclose(Keras(tiny_epsilon_rule, lr=lr).run()[-1], w.detach().numpy(), rtol=1e-9, atol=1e-12), name


check("momentum", lambda p: torch.optim.SGD(p, 0.01, momentum=0.9), 0.01, sgd(0.9))
check("nesterov", lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True), 0.01, sgd(0.9, True))
check("rmsprop", lambda p: torch.optim.RMSprop(p, 0.001, alpha=0.9, eps=1e-30), 0.001, rmsprop(epsilon=1e-60))
check("adam", lambda p: torch.optim.Adam(p, 0.001, eps=1e-30), 0.001, adam(epsilon=1e-30))

for name, optimizer in cases.items():
    emit(f"{name}_path", optimizer.run())

# ---- a network trained for three steps: every part at once ----
gen = torch.Generator().manual_seed(3)
k1, b1 = torch.randn(3, 5, generator=gen), torch.randn(5, generator=gen)
k2, b2 = torch.randn(5, 4, generator=gen), torch.randn(4, generator=gen)
xs, labels = torch.randn(7, 3, generator=gen), torch.randint(0, 4, (7,), generator=gen)
for name, t in (("k1", k1), ("b1", b1), ("k2", k2), ("b2", b2), ("xs", xs), ("labels", labels)):
    emit(f"net_{name}", t.numpy())
params = [p.clone().requires_grad_() for p in (k1, b1, k2, b2)]
optimizer = torch.optim.SGD(params, 0.1, momentum=0.9)
losses, accuracies = [], []
for _ in range(3):
    optimizer.zero_grad()
    h = torch.relu(xs @ params[0] + params[1])
    out = h @ params[2] + params[3]
    # l2 on the first kernel and l1 on the last, as penalties without a half
    loss = F.cross_entropy(out, labels) + 0.02 * (params[0] ** 2).sum() + 0.01 * params[2].abs().sum()
    loss.backward()
    losses.append(loss.item())
    accuracies.append((out.argmax(-1) == labels).double().mean().item())
    optimizer.step()
emit("net_losses", losses)
emit("net_accuracies", accuracies)
for name, p in zip(("k1", "b1", "k2", "b2"), params):
    emit(f"net_{name}_after", p.detach().numpy())
print("\n#endif")
