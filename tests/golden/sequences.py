#!/usr/bin/env python3
# Makes tests/golden/sequences.txt: layers over steps, with their states, as PyTorch computes them in float64.
# Rests on layer_cases.py, PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 -B tests/golden/sequences.py >tests/golden/sequences.txt
# Weights are in Keras' shapes and order, which are turned here. Rotary positions are written out with NumPy's outer
# product, pair by pair, as the paper has them.
import math

import numpy as np
import torch
import torch.nn.functional as F

from layer_cases import case, normal

print("# Values from PyTorch", torch.__version__, "in float64; made by sequences.py.")


# ---- recurrence: PyTorch's modules; order: for each of its gates the place of Keras' ----
def module(kind, x, w, order, states=None, units=3):
    """Results of all steps and the last states, by torch.nn.<kind>."""
    def rows(a):
        return torch.cat([a[..., i * units:(i + 1) * units] for i in order], -1).transpose(0, -1)

    b0, b1 = (w[2][0], w[2][1]) if w[2].dim() == 2 else (w[2], torch.zeros_like(w[2]))
    net = getattr(torch.nn, kind)(x.shape[-1], units, batch_first=True)
    values = {"weight_ih_l0": rows(w[0]), "weight_hh_l0": rows(w[1]), "bias_ih_l0": rows(b0), "bias_hh_l0": rows(b1)}
    for name in list(net._parameters):  # plain tensors, so that gradients flow on to w
        del net._parameters[name]
        setattr(net, name, values[name])
    net._flat_weights = [values[n] for n in net._flat_weights_names]
    if states is not None:
        states = tuple(s[None] for s in states) if kind == "LSTM" else states[0][None]
    y, last = net(x, states)
    return (y, last[0][0], last[1][0]) if kind == "LSTM" else (y, last[0])


ORDER = {"RNN": [0], "LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2]}
LAYER = {"RNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}


def weights(kind):
    n = 3 * len(ORDER[kind])
    return [normal(2, n), normal(3, n), normal(2, n) if kind == "GRU" else normal(n)]


for kind in ORDER:
    order, states = ORDER[kind], 2 if kind == "LSTM" else 1
    for sequences in (False, True):
        def run(x, w):
            y = module(kind, x[0], w, order, x[1:] or None)
            return (y[0] if sequences else y[0][:, -1],) + y[1:]

        options = {"units": 3, "return_state": True, "return_sequences": sequences}
        name = f"{LAYER[kind]}, states" + (", sequences" if sequences else "")
        case(name, (LAYER[kind], options), [normal(2, 4, 2)], weights(kind), run)
        case(name + ", given", (LAYER[kind], options), [normal(2, 4, 2)] + [normal(2, 3) for _ in range(states)],
             weights(kind), run)


def both_ways(x, w):
    y, h, c = module("LSTM", x[0], w[:3], ORDER["LSTM"], x[1:3])
    z, g, d = module("LSTM", x[0].flip(1), w[3:], ORDER["LSTM"], x[3:5])
    return torch.cat([y, z.flip(1)], -1), h, c, g, d


case("bidirectional, states",
     ("bidirectional", {"layer": {"lstm": {"units": 3, "return_state": True, "return_sequences": True}}}),
     [normal(2, 4, 2)] + [normal(2, 3) for _ in range(4)], weights("LSTM") + weights("LSTM"), both_ways)

# ---- cells ----
for kind, cell in (("RNN", "SimpleRNNCell"), ("LSTM", "LSTMCell"), ("GRU", "GRUCell")):
    states = 2 if kind == "LSTM" else 1

    def one_step(x, w):
        y = module(kind, x[0][:, None], w, ORDER[kind], x[1:])
        return (y[0][:, 0],) + y[1:]

    case(cell, (cell, {"units": 3}), [normal(2, 2)] + [normal(2, 3) for _ in range(states)], weights(kind), one_step)
case("rnn of an lstm cell", ("RNN", {"cell": {"lstm_cell": {"units": 3}}, "return_sequences": True}), [normal(2, 4, 2)],
     weights("LSTM"), lambda x, w: module("LSTM", x[0], w, ORDER["LSTM"])[0])


def stacked(x, w):
    y, h, c = module("LSTM", x[0], w[:3], ORDER["LSTM"])
    z, g = module("GRU", y, w[3:], ORDER["GRU"])
    return z[:, -1], h, c, g


above = [normal(3, 9), normal(3, 9), normal(2, 9)]
case("rnn of two cells",
     ("RNN", {"cell": {"stacked_rnn_cells": {"cell_0": {"lstm_cell": 3}, "cell_1": {"gru_cell": 3}}},
              "return_state": True}), [normal(2, 4, 2)], weights("LSTM") + above, stacked)

# ---- convolution as the product ----
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def convolve(x, w, stride=1, same=False, dilation=1):
    """x (batch, places..., in), w (size..., in, out)"""
    places = x.dim() - 2
    x = x.movedim(-1, 1)
    if same:
        around = []
        for axis in reversed(range(places)):
            extent, size = x.shape[2 + axis], dilation * (w.shape[axis] - 1) + 1
            need = max((-(-extent // stride) - 1) * stride + size - extent, 0)
            around += [need // 2, need - need // 2]
        x = F.pad(x, around)
    w = w.permute(w.dim() - 1, w.dim() - 2, *range(w.dim() - 2))
    return CONV[places](x, w, stride=stride, dilation=dilation).movedim(1, -1)


def conv_lstm(x, w, states=(0, 0), gate=torch.sigmoid, **window):
    h, c = states
    outputs = []
    for t in range(x.shape[1]):
        a = convolve(x[:, t], w[0], **window) + w[2]
        if torch.is_tensor(h):
            a = a + convolve(h, w[1], same=True)
        i, f, g, o = a.chunk(4, -1)
        c = gate(f) * c + gate(i) * torch.tanh(g)
        h = gate(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1), h, c


def conv_weights(*size):
    return [normal(*size, 2, 12), normal(*size, 3, 12), normal(12)]


case("conv lstm 1d", ("ConvLSTM1D", {"filters": 3, "kernel_size": 2}), [normal(2, 3, 5, 2)], conv_weights(2),
     lambda x, w: conv_lstm(x[0], w)[1])
case("conv lstm 2d", ("conv_lstm_2d", {"filters": 3, "kernel_size": 3, "padding": "same", "return_sequences": True}),
     [normal(2, 3, 4, 5, 2)], conv_weights(3, 3), lambda x, w: conv_lstm(x[0], w, same=True)[0])
case("conv lstm 2d, states",
     ("ConvLSTM2D", {"filters": 3, "kernel_size": [2, 3], "strides": 2, "return_state": True,
                     "recurrent_activation": "hard_sigmoid"}),
     [normal(2, 2, 5, 7, 2), normal(2, 2, 3, 3), normal(2, 2, 3, 3)], conv_weights(2, 3),
     lambda x, w: conv_lstm(x[0], w, x[1:], lambda a: torch.clip(a / 6 + 0.5, 0, 1), stride=2)[1:2]
     + conv_lstm(x[0], w, x[1:], lambda a: torch.clip(a / 6 + 0.5, 0, 1), stride=2)[1:])
case("conv lstm 2d, backwards", ("ConvLSTM2D", {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "go_backwards": True}),
     [normal(1, 3, 4, 4, 2)], conv_weights(2, 2), lambda x, w: conv_lstm(x[0].flip(1), w, dilation=2)[1])
case("conv lstm 3d", ("ConvLSTM3D", {"filters": 3, "kernel_size": 2}), [normal(1, 2, 3, 2, 3, 2)],
     conv_weights(2, 2, 2), lambda x, w: conv_lstm(x[0], w)[1])
def first(x, axis=1):
    return x.movedim(-1, axis)


case("conv lstm 2d, channels first",
     ("conv_lstm_2d", {"filters": 3, "kernel_size": 3, "padding": "same", "data_format": "channels_first"}),
     [normal(2, 3, 2, 4, 5)], conv_weights(3, 3), lambda x, w: first(conv_lstm(x[0].movedim(2, -1), w, same=True)[1]))
case("conv lstm 1d, channels first, sequences, states",
     ("ConvLSTM1D", {"filters": 3, "kernel_size": 2, "return_sequences": True, "return_state": True,
                     "data_format": "channels_first"}),
     [normal(2, 3, 2, 5), normal(2, 3, 4), normal(2, 3, 4)], conv_weights(2),
     lambda x, w: tuple(first(y, 1 if i else 2) for i, y in enumerate(
         conv_lstm(x[0].movedim(2, -1), w, (x[1].movedim(1, -1), x[2].movedim(1, -1))))))
case("conv lstm both ways", ("bidirectional", {"layer": {"conv_lstm_1d": {"filters": 3, "kernel_size": 2,
                                                                          "return_sequences": True}}}),
     [normal(1, 3, 4, 2)], conv_weights(2) + conv_weights(2),
     lambda x, w: torch.cat([conv_lstm(x[0], w[:3])[0], conv_lstm(x[0].flip(1), w[3:])[0].flip(1)], -1))


# ---- attention ----
def turned(x, longest=10000.0):
    """Rotary positions of x (..., steps, d), with NumPy's numbers."""
    t, half = x.shape[-2], x.shape[-1] // 2
    angle = np.outer(np.arange(t), 1.0 / longest ** (np.arange(half) / half))
    cos, sin = torch.tensor(np.cos(angle)), torch.tensor(np.sin(angle))
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def grouped(q, k, v, w, share, causal=False, longest=None):
    """w: kernels (d, heads, dim) and biases of query, key, value; the output's (heads, dim, d) and bias."""
    q, k, v = (torch.einsum("btd,dhk->bhtk", x, w[2 * i]) + w[2 * i + 1][:, None] for i, x in enumerate((q, k, v)))
    if longest:
        q, k = turned(q, longest), turned(k, longest)
    k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    return torch.einsum("bhtk,hkd->btd", F.softmax(scores, -1) @ v, w[6]) + w[7]


def grouped_weights(queries, keys, dim=4, d=6):
    return [normal(d, queries, dim), normal(queries, dim), normal(d, keys, dim), normal(keys, dim), normal(d, keys, dim),
            normal(keys, dim), normal(queries, dim, d), normal(d)]


case("multi-head, rotary", ("multi_head_attention", {"num_heads": 2, "key_dim": 4, "rotary": True}), [normal(2, 5, 6)],
     grouped_weights(2, 2), lambda x, w: grouped(x[0], x[0], x[0], w, 1, longest=10000))
case("multi-head, rotary, causal",
     ("multi_head_attention", {"num_heads": 2, "key_dim": 4, "rotary": True, "max_wavelength": 50, "causal": True}),
     [normal(2, 5, 6)], grouped_weights(2, 2), lambda x, w: grouped(x[0], x[0], x[0], w, 1, True, 50))
for queries, keys in ((4, 2), (3, 1), (2, 2)):
    case(f"group query, {queries} of {keys}",
         ("group_query_attention", {"head_dim": 4, "num_query_heads": queries, "num_key_value_heads": keys}),
         [normal(2, 3, 6), normal(2, 4, 6)], grouped_weights(queries, keys),
         lambda x, w: grouped(x[0], x[1], x[1], w, queries // keys))
case("group query, causal, rotary",
     ("GroupQueryAttention", {"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2, "causal": True,
                              "rotary": True}),
     [normal(2, 5, 6)], grouped_weights(4, 2), lambda x, w: grouped(x[0], x[0], x[0], w, 2, True, 10000))
