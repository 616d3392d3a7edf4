#!/usr/bin/env python3
# Writes ops.txt: inputs and results of ops by NumPy 1.24, for what test_ops.c builds under the same names.
# A case is "case <name>", lines "in <dtype> <rank> <extents> : <elements>", and "out ..." of the same form.
# Elements are written with 17 digits. Run: python3 ops.py > ops.txt
import math

import numpy as np

rng = np.random.default_rng(20230502)


def show(word, a):
    a = np.asarray(a)
    elements = " ".join(str(int(v)) if a.dtype.kind in "iub" else repr(float(v)) for v in a.reshape(-1))
    print(" ".join(f"{word} {a.dtype.name} {a.ndim} {' '.join(map(str, a.shape))} : {elements}".split()))


def case(name, result, *inputs):
    print(f"case {name}")
    for a in inputs:
        show("in", a)
    result = np.asarray(result)
    show("out", result)


def normal(*shape):
    return rng.normal(size=shape).round(3)


def unary(name, f, x):
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        case(name, f(x), x)


edges = np.array([-np.inf, -3.5, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 3.5, np.inf, np.nan])
for name, f in [("neg", np.negative), ("abs", np.abs), ("sign", np.sign), ("square", np.square), ("sqrt", np.sqrt),
                ("rsqrt", lambda x: 1 / np.sqrt(x)), ("reciprocal", np.reciprocal), ("exp", np.exp),
                ("expm1", np.expm1), ("log", np.log), ("log1p", np.log1p), ("sin", np.sin), ("cos", np.cos),
                ("tan", np.tan), ("tanh", np.tanh), ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
                ("erf", np.vectorize(math.erf)), ("floor", np.floor), ("ceil", np.ceil), ("round", np.round),
                ("trunc", np.trunc), ("isnan", np.isnan), ("isfinite", np.isfinite), ("logical_not", np.logical_not)]:
    unary(name, f, edges if name not in ("sin", "cos", "tan") else edges[1:12])

pairs_a = np.array([-7.5, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 3.0, 7.5, np.nan, 1.0, np.inf])
pairs_b = np.array([2.0, -2.0, 3.0, 0.0, 2.0, 1.0, -3.0, 0.5, 2.5, 1.0, np.nan, 2.0])
for name, f in [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide), ("mod", np.mod),
                ("pow", np.power), ("atan2", np.arctan2), ("maximum", np.maximum), ("minimum", np.minimum),
                ("equal", np.equal), ("not_equal", np.not_equal), ("less", np.less), ("less_equal", np.less_equal),
                ("greater", np.greater), ("greater_equal", np.greater_equal), ("logical_and", np.logical_and),
                ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)]:
    with np.errstate(all="ignore"):
        case(name, f(pairs_a, pairs_b), pairs_a, pairs_b)
a, b = rng.integers(-50, 50, (4, 1)), rng.integers(1, 9, 5)
for name, f in [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("mod", np.mod), ("maximum", np.maximum)]:
    case(name, f(a, b), a, b)
big = np.array([2 ** 62, -(2 ** 62), 2 ** 53 + 1, 255], np.int64)
case("add", big + big, big, big)
small = np.array([200, 100, 255], np.uint8)
case("add", small + small, small, small)
case("where", np.where(pairs_a > 0, pairs_a, pairs_b), pairs_a > 0, pairs_a, pairs_b)

x = normal(3, 4, 5)
for name, f in [("sum", np.sum), ("mean", np.mean), ("prod", np.prod), ("max", np.max), ("min", np.min)]:
    case(name + " all", f(x), x)
    case(name + " 1", f(x, axis=1), x)
    case(name + " 0,-1 keep", f(x, axis=(0, -1), keepdims=True), x)
counts = rng.integers(0, 9, (3, 7)).astype(np.int32)
case("sum 1", counts.sum(axis=1), counts)
case("sum 1", (counts > 4).sum(axis=1), counts > 4)
case("prod all", counts[0].prod(), counts[0])
case("argmax 1", x.argmax(axis=1), x)
case("argmin 2", x.argmin(axis=2), x)
ties = np.array([[3.0, 1.0, 3.0], [1.0, np.nan, 5.0]])
case("argmax 1", ties.argmax(axis=1), ties)
case("argmin 1", ties.argmin(axis=1), ties)
case("max 1", ties.max(axis=1), ties)
case("cumsum 0", x.cumsum(axis=0), x)
case("cumsum 2", x.cumsum(axis=2), x)

for shapes in [((5,), (5,)), ((3, 5), (5,)), ((5,), (5, 2)), ((3, 5), (5, 2)), ((2, 3, 5), (5, 4)), ((2, 3, 5), (2, 5, 4)),
               ((2, 1, 3, 5), (4, 5, 2)), ((5,), (2, 5, 3)), ((2, 3, 5), (5,)), ((1, 3, 5), (5, 2)), ((1, 3, 5), (7, 5, 2))]:
    a, b = normal(*shapes[0]), normal(*shapes[1])
    case("matmul", a @ b, a, b)
a, b = rng.integers(-9, 9, (3, 4)), rng.integers(-9, 9, (4, 2))
case("matmul", a @ b, a, b)

for text in ["1", "-1", "1:3", ":2", "-2:", "::2", "::-1", "5:1:-2", "-1:-6:-1", "10:100", "3:3", "1, 2", ":, 1", "..., 0",
             "0, ...", "1, ..., 2", ":, ::-2, 1:3", "[1:, -1]", "[..., None]", "None, 1", "newaxis, ..., 1:2", "[:, :, :]",
             "2:0:-1, ..., ::2", "...", "1,", "-100:100", ":-100:-1", " [ 1 : 3 , 0 ] "]:
    y = np.arange(120.0).reshape(4, 5, 6)
    key = text.strip().strip("[]")
    case("slice " + text.strip(), eval(f"y[{key}]", {"y": y, "newaxis": None}), y)

y = normal(2, 3, 4)
case("transpose", y.transpose(), y)
case("transpose 1,0,2", y.transpose(1, 0, 2), y)
case("reshape 4,-1", y.reshape(4, -1), y)
case("pad", np.pad(y, ((1, 0), (0, 2), (1, 1)), constant_values=1.5), y)
z = normal(2, 1, 4)
case("concat 1", np.concatenate([y, z], axis=1), y, z)
case("stack 1", np.stack([y, y * 2], axis=1), y, y * 2)
index = np.array([[2, 0], [-1, 1]])
case("gather 1", np.take(y, index, axis=1), y, index)
case("gather 0", np.take(y, np.array(1), axis=0), y, np.array(1))
labels = np.array([3, 0, 5, -1])
case("one_hot", (labels[:, None] == np.arange(5)).astype(np.float32), labels)
case("clip", np.clip(y, -0.5, 0.75), y)


def softmax(v, axis):
    e = np.exp(v - v.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


large = normal(3, 5) * 300
with np.errstate(all="ignore"):
    case("softmax 1", softmax(large, 1), large)
    case("softmax 0", softmax(large, 0), large)
    case("log_softmax 1", large - large.max(1, keepdims=True) -
         np.log(np.exp(large - large.max(1, keepdims=True)).sum(1, keepdims=True)), large)
    hard = np.array([[1000.0, 1000.0], [-np.inf, -np.inf], [np.inf, 1.0], [-1000.0, 0.0]])
    case("logsumexp 1", np.logaddexp(hard[:, 0], hard[:, 1]), hard)
    case("softplus", np.logaddexp(0, edges), edges)
