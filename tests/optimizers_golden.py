#!/usr/bin/env python3
# Makes tests/optimizers_golden.h: five steps of every optimizer by Keras' formulas in float64, and learning rates.
# Rests on NumPy and PyTorch (Debian: python3-torch); run by hand when a case is added:
# /usr/bin/python3 tests/optimizers_golden.py >tests/optimizers_golden.h; make fmt
# Each formula is also compared with PyTorch's optimizer of that name, at the numbers where the two must agree.
import math

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
SHAPE = (3, 2)
rng = np.random.default_rng(11)
w0 = rng.normal(size=SHAPE)
grads = rng.normal(size=(5, *SHAPE)) * np.array([[1, 1e-3], [10, 1], [1, 1e-5]])
grads[2, 1, 1] = 0


def emit(name, values):
    flat = np.asarray(values, dtype=float).ravel()
    print(f"static const double {name}[] = {{")
    for i in range(0, len(flat), 5):
        print("    " + " ".join(f"{float(v)!r}," for v in flat[i : i + 5]))
    print("};")


def run(rule, lr=0.001, decay=0.0, clip=lambda g: g, start=w0):
    w, s, out = start.copy(), {}, []
    for t, g in enumerate(grads, 1):
        w = rule(w - w * decay * lr, clip(g), t, lr, s)
        out.append(w.copy())
    return np.array(out)


def slot(s, name, start=0.0):
    return s.get(name, np.full(SHAPE, start))


def moments(s, g, b1, b2):
    s["m"] = slot(s, "m") + (g - slot(s, "m")) * (1 - b1)
    s["v"] = slot(s, "v") + (g * g - slot(s, "v")) * (1 - b2)
    return s["m"], s["v"]


def adamax(b1=0.9, b2=0.999, eps=1e-7):
    def rule(w, g, t, lr, s):
        m, _ = moments(s, g, b1, b2)
        s["u"] = np.maximum(b2 * slot(s, "u"), abs(g))
        return w - lr * m / ((1 - b1**t) * (s["u"] + eps))

    return rule


def nadam(b1=0.9, b2=0.999, eps=1e-7, twice=False):
    # twice: u_t once too often in the product ahead, as PyTorch 1.13 has it; Keras and the paper do not
    def rule(w, g, t, lr, s):
        m, v = moments(s, g, b1, b2)
        u0, u1 = b1 * (1 - 0.5 * 0.96**t), b1 * (1 - 0.5 * 0.96 ** (t + 1))
        s["p"] = s.get("p", 1.0) * u0
        m_hat = u1 * m / (1 - s["p"] * u1 * (u0 if twice else 1)) + (1 - u0) * g / (1 - s["p"])
        return w - lr * m_hat / (np.sqrt(v / (1 - b2**t)) + eps)

    return rule


def adagrad(start=0.1, eps=1e-7):
    def rule(w, g, t, lr, s):
        s["a"] = slot(s, "a", start) + g * g
        return w - lr * g / np.sqrt(s["a"] + eps)

    return rule


def adadelta(rho=0.95, eps=1e-7):
    def rule(w, g, t, lr, s):
        s["a"] = rho * slot(s, "a") + (1 - rho) * g * g
        d = np.sqrt(slot(s, "d") + eps) * g / np.sqrt(s["a"] + eps)
        s["d"] = rho * slot(s, "d") + (1 - rho) * d * d
        return w - lr * d

    return rule


def ftrl(power=-0.5, start=0.1, l1=0.0, l2=0.0, shrink=0.0, beta=0.0):
    def rule(w, g, t, lr, s):
        a, z = slot(s, "a", start), slot(s, "z")
        s["a"] = a + g * g
        s["z"] = z = z + g + 2 * shrink * w - (s["a"] ** -power - a**-power) / lr * w
        quadratic = s["a"] ** -power / lr + 2 * (l2 + beta / (2 * lr))
        return (np.clip(z, -l1, l1) - z) / quadratic

    return rule


def lion(b1=0.9, b2=0.99):
    def rule(w, g, t, lr, s):
        m = slot(s, "m")
        s["m"] = m * b2 + g * (1 - b2)
        return w - lr * np.sign(m * b1 + g * (1 - b1))

    return rule


def norm(x):
    return np.sqrt((x * x).sum())


def rms(x):
    return np.sqrt((x * x).mean())


def lamb(b1=0.9, b2=0.999, eps=1e-7):
    def rule(w, g, t, lr, s):
        m, v = moments(s, g, b1, b2)
        d = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        ratio = norm(w) / norm(d) if norm(w) > 0 and norm(d) > 0 else 1
        return w - lr * ratio * d

    return rule


def adafactor(decay=-0.8, eps1=1e-30, eps2=1e-3, clip=1.0, relative=True):
    def rule(w, g, t, lr, s):
        if relative:
            lr = min(lr, 1 / math.sqrt(t))
        b = 1 - t**decay
        squares = g * g + eps1
        s["r"] = b * s.get("r", np.zeros(SHAPE[0])) + (1 - b) * squares.mean(-1)
        s["c"] = b * s.get("c", np.zeros(SHAPE[1])) + (1 - b) * squares.mean(-2)
        v = (s["r"] / s["r"].mean())[:, None] * s["c"][None]
        d = g / np.sqrt(v)
        return w - max(eps2, rms(w)) * min(lr, 1 / math.sqrt(t)) * d / max(1, rms(d) / clip)

    return rule


def adam(b1=0.9, b2=0.999, eps=1e-7):
    def rule(w, g, t, lr, s):
        m, v = moments(s, g, b1, b2)
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)

    return rule


def muon(momentum=0.95, steps=5, nesterov=True, rate=0.2, a=3.4445, b=-4.7750, c=2.0315):
    def rule(w, g, t, lr, s):
        s["m"] = momentum * slot(s, "m") + g
        d = g + momentum * s["m"] if nesterov else s["m"]
        x = d.T if d.shape[0] > d.shape[1] else d
        x = x / (norm(x) + 1e-7)
        for _ in range(steps):
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
        d = x.T if d.shape[0] > d.shape[1] else x
        return w - lr * d * (math.sqrt(max(d.shape)) * rate if rate else 1)

    return rule


def check(name, make, ours):
    w = torch.tensor(w0, requires_grad=True)
    optimizer = make([w])
    for i, g in enumerate(grads):
        w.grad = torch.tensor(g)
        optimizer.step()
        assert np.allclose(ours[i], w.detach().numpy(), rtol=1e-9, atol=1e-12), name


check("adamax", lambda p: torch.optim.Adamax(p, 0.002, eps=1e-30), run(adamax(eps=1e-30), 0.002))
check("nadam", lambda p: torch.optim.NAdam(p, 0.002, eps=1e-7, momentum_decay=1), run(nadam(twice=True), 0.002))
check("adagrad", lambda p: torch.optim.Adagrad(p, 0.01, initial_accumulator_value=0.1, eps=0), run(adagrad(eps=0), 0.01))
check("adadelta", lambda p: torch.optim.Adadelta(p, 0.5, rho=0.95, eps=1e-7), run(adadelta(), 0.5))

print(f"/* Optimizers' paths and learning rates in float64; made by optimizers_golden.py.\n * Rests on nothing.\n"
      " * A path is the weight after each of five steps with the gradients. */")
print("#ifndef TESTS_OPTIMIZERS_GOLDEN_H\n#define TESTS_OPTIMIZERS_GOLDEN_H\n")
emit("start", w0)
emit("gradients", grads)


def clip_norm(limit):
    return lambda g: g * limit / max(norm(g), limit)


def clip_value(limit):
    return lambda g: np.clip(g, -limit, limit)


rules = {"adamax": adamax, "nadam": nadam, "adagrad": adagrad, "adadelta": adadelta, "ftrl": ftrl, "lion": lion,
         "lamb": lamb, "adafactor": adafactor}
for name, rule in rules.items():
    emit(f"{name}_path", run(rule()))
    emit(f"{name}_decay_path", run(rule(), decay=0.1))
    emit(f"{name}_clipnorm_path", run(rule(), clip=clip_norm(1.5)))
    emit(f"{name}_clipvalue_path", run(rule(), clip=clip_value(0.5)))
emit("adamax_options_path", run(adamax(0.8, 0.9, 1e-3), 0.01))
emit("nadam_options_path", run(nadam(0.8, 0.9, 1e-3), 0.01))
emit("adagrad_options_path", run(adagrad(0.0, 1e-3), 0.01))
emit("adadelta_options_path", run(adadelta(0.8, 1e-3), 1.0))
emit("ftrl_options_path", run(ftrl(-0.7, 0.2, 0.3, 0.2, 0.01, 0.5), 0.05))
emit("lion_options_path", run(lion(0.8, 0.9), 0.01))
emit("lamb_options_path", run(lamb(0.8, 0.9, 1e-3), 0.01))
emit("adafactor_options_path", run(adafactor(-0.5, 1e-10, 0.5, 0.5, False), 2.0))
emit("muon_path", run(muon(), decay=0.004))
emit("muon_options_path", run(muon(0.8, 2, False, None, 2.0, -1.5, 0.5), 0.01))
emit("muon_adam_path", run(adam(0.8, 0.9, 1e-3), 0.02, decay=0.1))


def averaged(rule, lr, momentum, every=0, decay=0.0):
    # the weights and their averages after each step; every: how often the weights become the average
    w, average, s, path, averages = w0.copy(), None, {}, [], []
    for t, g in enumerate(grads, 1):
        w = rule(w - w * decay * lr, g, t, lr, s)
        average = w.copy() if t == 1 else momentum * average + (1 - momentum) * w
        if every and t % every == 0:
            w = average.copy()
        path.append(w.copy())
        averages.append(average.copy())
    return path, averages


path, averages = averaged(adam(), 0.1, 0.9)
emit("ema_path", path)
emit("ema_averages", averages)
path, averages = averaged(adam(), 0.1, 0.9, every=2)
emit("ema_overwritten_path", path)
emit("ema_overwritten_averages", averages)
print("#define OPTIMIZER_CASES(X) \\\n    " + " \\\n    ".join(f"X({name})" for name in rules) + "\n")

# ---- schedules, at these steps ----
steps = [0, 1, 5, 10, 11, 30, 99, 100, 101, 250, 400, 1000]
emit("schedule_steps", steps)
pi = math.pi


def polynomial(cycle):
    def f(t):
        n = 100 * (max(1, math.ceil(t / 100)) if cycle else 1)
        return (0.5 - 0.1) * (1 - min(t, n) / n) ** 2 + 0.1

    return f


def cosine(t):
    return 0.5 * (0.9 * 0.5 * (1 + math.cos(pi * min(t, 100) / 100)) + 0.1)


def cosine_warm(t):
    if t < 10:
        return 0.01 + (0.5 - 0.01) * t / 10
    f = min(t - 10, 100) / 100
    return 0.5 * (0.9 * 0.5 * (1 + math.cos(pi * f)) + 0.1)


def restarts(t):
    done, length, height = t, 50.0, 1.0
    while done >= length:
        done, length, height = done - length, length * 2, height * 0.9
    return 0.5 * (0.9 * 0.5 * height * (1 + math.cos(pi * done / length)) + 0.1)


def restarts_even(t):
    return 0.5 * 0.5 * (1 + math.cos(pi * (t % 50) / 50))


schedules = {
    "exponential": lambda t: 0.5 * 0.9 ** (t / 100),
    "exponential_stairs": lambda t: 0.5 * 0.9 ** (t // 100),
    "piecewise": lambda t: 0.5 if t <= 10 else 0.2 if t <= 100 else 0.1,
    "polynomial": polynomial(False),
    "polynomial_cycle": polynomial(True),
    "inverse_time": lambda t: 0.5 / (1 + 0.5 * t / 100),
    "inverse_time_stairs": lambda t: 0.5 / (1 + 0.5 * (t // 100)),
    "cosine": cosine,
    "cosine_warm": cosine_warm,
    "restarts": restarts,
    "restarts_even": restarts_even,
}
for name, f in schedules.items():
    emit(f"{name}_rates", [f(t) for t in steps])
torch_sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.5)
torch_cosine = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(torch_sgd, 50, 2)
for t in (0, 10, 60, 160, 400):
    torch_cosine.step(t)
    done, length = t, 50
    while done >= length:
        done, length = done - length, length * 2
    assert abs(torch_cosine.get_last_lr()[0] - 0.25 * (1 + math.cos(pi * done / length))) < 1e-12
print("\n#endif")
