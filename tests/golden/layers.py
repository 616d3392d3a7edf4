#!/usr/bin/env python3
# Makes tests/golden/layers.txt: results and gradients of layers as PyTorch computes them in float64.
# Rests on PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 tests/golden/layers.py >tests/golden/layers.txt
# Weights are in Keras' shapes and order; where PyTorch's differ they are turned here. A case is a layer as JSON, what
# goes in, its weights, what comes out, and the gradients of sum(cos(0, 1, ...) * result).
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.stateless import functional_call

from layer_cases import case, normal, random

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

# ---- embedding, merging ----
case("embedding", ("embedding", {"input_dim": 7, "output_dim": 3}), [random.randint(0, 7, (4, 5))], [normal(7, 3)],
     lambda x, w: F.embedding(x[0], w[0]))
pair = [normal(3, 4, 2), normal(3, 4, 2)]
case("add", ("add", {}), pair + [normal(3, 4, 2)], [], lambda x, w: x[0] + x[1] + x[2])
case("subtract", ("subtract", {}), pair, [], lambda x, w: x[0] - x[1])
case("multiply", ("multiply", {}), pair + [normal(3, 4, 2)], [], lambda x, w: x[0] * x[1] * x[2])
case("average", ("average", {}), pair + [normal(3, 4, 2)], [], lambda x, w: (x[0] + x[1] + x[2]) / 3)
case("maximum", ("maximum", {}), pair, [], lambda x, w: torch.maximum(x[0], x[1]))
case("minimum", ("minimum", {}), pair, [], lambda x, w: torch.minimum(x[0], x[1]))
case("dot of vectors", ("dot", {}), [normal(3, 4), normal(3, 4)], [], lambda x, w: (x[0] * x[1]).sum(-1, keepdim=True))
case("dot", ("dot", {"axes": [2, 1]}), [normal(2, 3, 4), normal(2, 4, 5)], [], lambda x, w: x[0] @ x[1])
case("dot, one axis for both", ("dot", {"axes": 1}), [normal(2, 4, 3), normal(2, 4, 5)], [],
     lambda x, w: x[0].transpose(1, 2) @ x[1])
case("dot, cosine", ("dot", {"axes": 1, "normalize": True}), [normal(3, 4), normal(3, 4)], [],
     lambda x, w: F.cosine_similarity(x[0], x[1])[:, None])

# ---- shapes ----
case("permute", ("permute", {"dims": [3, 1, 2]}), [normal(2, 3, 4, 5)], [], lambda x, w: x[0].permute(0, 3, 1, 2))
case("repeat vector", ("repeat_vector", {"n": 4}), [normal(2, 3)], [], lambda x, w: x[0][:, None].expand(2, 4, 3))
case("zero padding 1d", ("zero_padding_1d", {"padding": [-1, 2]}), [normal(2, 3, 2)], [],
     lambda x, w: F.pad(x[0], (0, 0, 0, 2)))
case("zero padding 2d", ("ZeroPadding2D", {"padding": [1, 2]}), [normal(2, 3, 2, 2)], [],
     lambda x, w: F.pad(x[0], (0, 0, 2, 2, 1, 1)))
case("zero padding 2d, four", ("zero_padding_2d", {"padding": [1, 2, 3, -1]}), [normal(2, 3, 2, 2)], [],
     lambda x, w: F.pad(x[0], (0, 0, 3, 0, 1, 2)))
case("zero padding 3d", ("zero_padding_3d", {}), [normal(1, 2, 2, 3, 2)], [],
     lambda x, w: F.pad(x[0], (0, 0, 1, 1, 1, 1, 1, 1)))
case("zero padding 1d, channels first", ("zero_padding_1d", {"padding": [2, 0], "data_format": "channels_first"}),
     [normal(2, 3, 4)], [], lambda x, w: F.pad(x[0], (2, 0)))
case("zero padding 2d, channels first",
     ("ZeroPadding2D", {"padding": [[1, 0], [2, 3]], "data_format": "channels_first"}), [normal(2, 3, 2, 2)], [],
     lambda x, w: F.pad(x[0], (2, 3, 1, 0)))
case("zero padding 3d, channels first", ("zero_padding_3d", {"padding": [1, 2, -1], "data_format": "channels_first"}),
     [normal(1, 2, 2, 3, 2)], [], lambda x, w: F.pad(x[0], (0, 0, 2, 2, 1, 1)))
case("cropping 2d, channels first", ("cropping_2d", {"cropping": [[1, 0], [0, 2]], "data_format": "channels_first"}),
     [normal(2, 2, 4, 5)], [], lambda x, w: x[0][:, :, 1:, :-2])
case("cropping 3d, channels first", ("cropping_3d", {"data_format": "channels_first"}), [normal(1, 2, 4, 3, 3)], [],
     lambda x, w: x[0][:, :, 1:-1, 1:-1, 1:-1])
case("einsum dense", ("einsum_dense", {"equation": "abc,cd->abd", "output_shape": [-1, 5], "bias_axes": "d",
                                       "activation": "tanh"}), [normal(2, 3, 4)], [normal(4, 5), normal(5)],
     lambda x, w: torch.tanh(torch.einsum("abc,cd->abd", x[0], w[0]) + w[1]))
case("einsum dense, heads", ("EinsumDense", {"equation": "...c,hcd->...hd", "output_shape": [-1, 2, 3], "bias_axes": "hd"}),
     [normal(2, 3, 4)], [normal(2, 4, 3), normal(2, 3)],
     lambda x, w: torch.einsum("abc,hcd->abhd", x[0], w[0]) + w[1])
case("einsum dense, one kernel a step", ("einsum_dense", {"equation": "abc,bcd->adb", "output_shape": [5, 3], "bias_axes": "d"}),
     [normal(2, 3, 4)], [normal(3, 4, 5), normal(5, 1)],
     lambda x, w: torch.einsum("abc,bcd->adb", x[0], w[0]) + w[1])
case("einsum dense, two axes summed", ("einsum_dense", {"equation": "abcd,cde->abe", "output_shape": [-1, 2]}),
     [normal(2, 2, 3, 4)], [normal(3, 4, 2)], lambda x, w: torch.einsum("abcd,cde->abe", x[0], w[0]))
case("identity", ("identity", {}), [normal(2, 3, 4)], [], lambda x, w: x[0] * 1)
case("flatten, channels first", ("flatten", {"data_format": "channels_first"}), [normal(2, 3, 2, 4)], [],
     lambda x, w: x[0].movedim(1, -1).flatten(1))
case("cropping 1d", ("cropping_1d", {"cropping": [1, 2]}), [normal(2, 6, 2)], [], lambda x, w: x[0][:, 1:-2])
case("cropping 2d", ("cropping_2d", {}), [normal(2, 4, 5, 2)], [], lambda x, w: x[0][:, 1:-1, 1:-1])
case("cropping 3d", ("cropping_3d", {"cropping": [1, 2, -1, 1, 1, -1]}), [normal(1, 4, 3, 3, 2)], [],
     lambda x, w: x[0][:, 1:-2, :-1, 1:])
case("up sampling 1d", ("up_sampling_1d", {"size": 3}), [normal(2, 3, 2)], [],
     lambda x, w: F.interpolate(x[0].transpose(1, 2), scale_factor=3).transpose(1, 2))
case("up sampling 2d", ("up_sampling_2d", {"size": [2, 3]}), [normal(2, 3, 2, 2)], [],
     lambda x, w: F.interpolate(x[0].permute(0, 3, 1, 2), scale_factor=(2, 3)).permute(0, 2, 3, 1))
case("up sampling 3d", ("up_sampling_3d", {}), [normal(1, 2, 2, 1, 2)], [],
     lambda x, w: F.interpolate(x[0].permute(0, 4, 1, 2, 3), scale_factor=2).permute(0, 2, 3, 4, 1))

# ---- functions ----
case("lambda", ("lambda", {"function": "softplus"}), [normal(3, 4)], [], lambda x, w: F.softplus(x[0]))
case("leaky relu", ("LeakyReLU", {}), [normal(3, 4)], [], lambda x, w: F.leaky_relu(x[0], 0.3))
case("elu", ("ELU", {"alpha": 0.7}), [normal(3, 4)], [], lambda x, w: F.elu(x[0], 0.7))
case("softmax", ("Softmax", {"axis": 1}), [normal(3, 4, 2)], [], lambda x, w: F.softmax(x[0], 1))
case("prelu", ("prelu", {}), [normal(3, 4, 2)], [normal(4, 2)], lambda x, w: torch.where(x[0] > 0, x[0], x[0] * w[0]))
case("prelu, shared", ("PReLU", {"shared_axes": [1]}), [normal(3, 4, 2)], [normal(1, 2)],
     lambda x, w: F.prelu(x[0].transpose(1, 2), w[0].reshape(2)).transpose(1, 2))
case("activity regularization", ("activity_regularization", {"l1": 0.5}), [normal(3, 4)], [], lambda x, w: x[0] * 1)

# ---- noise when not training ----
for name in ["gaussian_dropout", "alpha_dropout", "spatial_dropout_1d", "SpatialDropout1D", "dropout"]:
    case(name, (name, {"rate": 0.5}), [normal(3, 4, 2)], [], lambda x, w: x[0] * 1)
case("gaussian noise", ("gaussian_noise", {"stddev": 0.5}), [normal(3, 4)], [], lambda x, w: x[0] * 1)

# ---- global pooling ----
for places, shape in enumerate([(2, 5, 3), (2, 3, 4, 3), (2, 3, 2, 2, 3)], 1):
    axes = tuple(range(1, places + 1))
    case(f"global average {places}d", (f"global_average_pooling_{places}d", {}), [normal(*shape)], [],
         lambda x, w: x[0].mean(axes))
    case(f"global max {places}d", (f"GlobalMaxPooling{places}D", {"keepdims": True}), [normal(*shape)], [],
         lambda x, w: x[0].amax(axes, keepdim=True))

# ---- recurrence: PyTorch's modules with weights turned from Keras' (in, gates units) ----
def module(kind, x, w, order, reverse=False, units=3):
    """Results of all steps, by torch.nn.<kind>. order: for each of PyTorch's gates the place of Keras'."""
    def rows(a):  # (.., gates units) -> (gates units, ..), gates in PyTorch's order
        return torch.cat([a[..., i * units:(i + 1) * units] for i in order], -1).transpose(0, -1)

    bias = w[2] if len(w) > 2 else torch.zeros(len(order) * units)
    b0, b1 = (bias[0], bias[1]) if bias.dim() == 2 else (bias, torch.zeros_like(bias))
    net = getattr(torch.nn, kind)(x.shape[-1], units, batch_first=True)
    values = {"weight_ih_l0": rows(w[0]), "weight_hh_l0": rows(w[1]), "bias_ih_l0": rows(b0), "bias_hh_l0": rows(b1)}
    for name in list(net._parameters):  # plain tensors, so that gradients flow on to w
        del net._parameters[name]
        setattr(net, name, values[name])
    net._flat_weights = [values[n] for n in net._flat_weights_names]
    return net(x.flip(1) if reverse else x)[0]


def rnn(x, w, **k):
    return module("RNN", x, w, [0], **k)


def lstm(x, w, **k):
    return module("LSTM", x, w, [0, 1, 2, 3], **k)


def gru(x, w, **k):
    return module("GRU", x, w, [1, 0, 2], **k)


def recurrent(gates, features=2, units=3, two=False):
    n = gates * units
    return [normal(features, n), normal(units, n), normal(2, n) if two else normal(n)]


def gru_reset_before(x, w):
    h = torch.zeros(x.shape[0], 3)
    for t in range(x.shape[1]):
        a = x[:, t] @ w[0] + w[2]
        z = torch.sigmoid(a[:, :3] + h @ w[1][:, :3])
        r = torch.sigmoid(a[:, 3:6] + h @ w[1][:, 3:6])
        h = z * h + (1 - z) * torch.tanh(a[:, 6:] + (r * h) @ w[1][:, 6:])
    return h


case("simple rnn", ("simple_rnn", {"units": 3}), [normal(2, 4, 2)], recurrent(1), lambda x, w: rnn(x[0], w)[:, -1])
case("simple rnn, sequences", ("SimpleRNN", {"units": 3, "return_sequences": True, "use_bias": False}),
     [normal(2, 4, 2)], recurrent(1)[:2], lambda x, w: rnn(x[0], w))
case("simple rnn, one step", ("SimpleRNN", {"units": 3}), [normal(2, 1, 2)], recurrent(1), lambda x, w: rnn(x[0], w)[:, -1])
case("lstm", ("lstm", {"units": 3}), [normal(2, 4, 2)], recurrent(4), lambda x, w: lstm(x[0], w)[:, -1])
case("lstm, sequences", ("lstm", {"units": 3, "return_sequences": True}), [normal(2, 5, 2)], recurrent(4),
     lambda x, w: lstm(x[0], w))
case("lstm, backwards", ("lstm", {"units": 3, "return_sequences": True, "go_backwards": True}), [normal(2, 4, 2)],
     recurrent(4), lambda x, w: lstm(x[0], w, reverse=True))
case("gru", ("gru", {"units": 3}), [normal(2, 4, 2)], recurrent(3, two=True), lambda x, w: gru(x[0], w)[:, -1])
case("gru, sequences", ("GRU", {"units": 3, "return_sequences": True}), [normal(2, 4, 2)], recurrent(3, two=True),
     lambda x, w: gru(x[0], w))
case("gru, reset before", ("gru", {"units": 3, "reset_after": False}), [normal(2, 4, 2)], recurrent(3),
     lambda x, w: gru_reset_before(x[0], w))


def lstm_from(x, w):
    h, c = x[1], x[2]
    for t in range(x[0].shape[1]):
        i, f, g, o = (x[0][:, t] @ w[0] + h @ w[1] + w[2]).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h


case("lstm, given states", ("lstm", {"units": 3}), [normal(2, 4, 2), normal(2, 3), normal(2, 3)], recurrent(4), lstm_from)
both = recurrent(4) + recurrent(4)
for mode, merge in {"concat": lambda a, b: torch.cat([a, b], -1), "sum": lambda a, b: a + b, "mul": lambda a, b: a * b,
                    "ave": lambda a, b: (a + b) / 2}.items():
    case(f"bidirectional {mode}", ("bidirectional", {"layer": {"lstm": {"units": 3}}, "merge_mode": mode}),
         [normal(2, 4, 2)], both,
         lambda x, w: merge(lstm(x[0], w[:3])[:, -1], lstm(x[0], w[3:], reverse=True)[:, -1]))
    case(f"bidirectional {mode}, sequences",
         ("Bidirectional", {"layer": {"lstm": {"units": 3, "return_sequences": True}}, "merge_mode": mode}),
         [normal(2, 4, 2)], both,
         lambda x, w: merge(lstm(x[0], w[:3]), lstm(x[0], w[3:], reverse=True).flip(1)))
case("bidirectional gru", ("bidirectional", {"layer": {"gru": 3}}), [normal(2, 4, 2)],
     recurrent(3, two=True) + recurrent(3, two=True),
     lambda x, w: torch.cat([gru(x[0], w[:3])[:, -1], gru(x[0], w[3:], reverse=True)[:, -1]], -1))
case("time distributed", ("time_distributed", {"layer": {"dense": {"units": 3, "activation": "tanh"}}}),
     [normal(2, 4, 5)], [normal(5, 3), normal(3)], lambda x, w: torch.tanh(x[0] @ w[0] + w[1]))
case("time distributed, bidirectional",
     ("TimeDistributed", {"layer": {"bidirectional": {"layer": {"lstm": {"units": 3}}}}}), [normal(2, 3, 4, 2)], both,
     lambda x, w: torch.stack([torch.cat([lstm(x[0][:, t], w[:3])[:, -1],
                                          lstm(x[0][:, t], w[3:], reverse=True)[:, -1]], -1) for t in range(3)], 1))

# ---- attention: by PyTorch's functions and modules, with weights turned from Keras' (d, heads, dim) ----
causal = torch.ones(4, 4).triu(1).bool()
qv = [normal(2, 4, 3), normal(2, 5, 3)]
case("attention", ("attention", {}), qv, [], lambda x, w: F.softmax(x[0] @ x[1].transpose(1, 2), -1) @ x[1])
case("attention, key and scale", ("Attention", {"use_scale": True}), qv + [normal(2, 5, 3)], [np.array(0.7)],
     lambda x, w: F.softmax(w[0] * x[0] @ x[2].transpose(1, 2), -1) @ x[1])
case("attention to itself, causal", ("attention", {"causal": True}), [normal(2, 4, 3)], [],
     lambda x, w: F.softmax((x[0] @ x[0].transpose(1, 2)).masked_fill(causal, -math.inf), -1) @ x[0])
case("additive attention", ("additive_attention", {}), qv, [normal(3)],
     lambda x, w: F.softmax((w[0] * torch.tanh(x[0][:, :, None] + x[1][:, None])).sum(-1), -1) @ x[1])
case("additive attention, no scale", ("AdditiveAttention", {"use_scale": False}), qv + [normal(2, 5, 3)], [],
     lambda x, w: F.softmax(torch.tanh(x[0][:, :, None] + x[2][:, None]).sum(-1), -1) @ x[1])


def heads(q, k, v, w, mask=None):
    """Two heads of 3 over d = 6; w: query, key, value and output kernels and biases in Keras' order."""
    flat = [a.reshape(6, 6).T for a in w[0::2]]
    y, _ = F.multi_head_attention_forward(
        q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), 6, 2, None,
        torch.cat([w[1].reshape(6), w[3].reshape(6), w[5].reshape(6)]), None, None, False, 0.0, flat[3], w[7],
        use_separate_proj_weight=True, q_proj_weight=flat[0], k_proj_weight=flat[1], v_proj_weight=flat[2],
        attn_mask=mask)
    return y.transpose(0, 1)


def heads_weights():
    return [normal(6, 2, 3), normal(2, 3), normal(6, 2, 3), normal(2, 3), normal(6, 2, 3), normal(2, 3),
            normal(2, 3, 6), normal(6)]


case("multi-head", ("multi_head_attention", {"num_heads": 2, "key_dim": 3}), [normal(2, 4, 6)], heads_weights(),
     lambda x, w: heads(x[0], x[0], x[0], w))
case("multi-head, causal", ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "causal": True}), [normal(2, 4, 6)],
     heads_weights(), lambda x, w: heads(x[0], x[0], x[0], w, causal))
case("multi-head, three inputs", ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
     [normal(2, 4, 6), normal(2, 5, 6), normal(2, 5, 6)], heads_weights(), lambda x, w: heads(x[0], x[2], x[1], w))


def heads_of_other_sizes(x, w):
    q, k, v = (torch.einsum("btd,dhk->bhtk", a, b) for a, b in zip([x[0], x[1], x[1]], w))
    y = F.softmax(q @ k.transpose(2, 3) / math.sqrt(3), -1) @ v
    return torch.einsum("bhtv,hvd->btd", y, w[3])


case("multi-head, other sizes",
     ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 4, "output_dim": 5, "use_bias": False}),
     [normal(2, 3, 6), normal(2, 4, 7)], [normal(6, 2, 3), normal(7, 2, 3), normal(7, 2, 4), normal(2, 4, 5)],
     heads_of_other_sizes)


def sines(x, longest=10000):
    t, d = x.shape[1], x.shape[2]
    p = torch.zeros(t, d)
    for i in range(d):
        angle = torch.arange(t) / longest ** (i // 2 * 2 / d)
        p[:, i] = torch.sin(angle) if i % 2 == 0 else torch.cos(angle)
    return x + p


case("positional encoding", ("positional_encoding", {}), [normal(2, 5, 6)], [], lambda x, w: sines(x[0]))
case("positional encoding, odd", ("PositionalEncoding", {"max_wavelength": 50}), [normal(2, 5, 5)], [],
     lambda x, w: sines(x[0], 50))
case("position embedding", ("position_embedding", {"sequence_length": 7}), [normal(2, 5, 3)], [normal(7, 3)],
     lambda x, w: x[0] + w[0][:5])


def attention_values(name, w):
    flat = [a.reshape(6, 6).T for a in w[0::2]]
    return {f"{name}.in_proj_weight": torch.cat(flat[:3]), f"{name}.out_proj.weight": flat[3],
            f"{name}.in_proj_bias": torch.cat([w[1].reshape(6), w[3].reshape(6), w[5].reshape(6)]),
            f"{name}.out_proj.bias": w[7]}


def norm_values(name, w):
    return {f"{name}.weight": w[0], f"{name}.bias": w[1]}


def dense_values(w):
    return {"linear1.weight": w[0].T, "linear1.bias": w[1], "linear2.weight": w[2].T, "linear2.bias": w[3]}


def encoder(x, w, first, mask=None, activation="relu"):
    net = torch.nn.TransformerEncoderLayer(6, 2, 5, 0.0, activation, batch_first=True, norm_first=first)
    values = {**attention_values("self_attn", w[:8]), **norm_values("norm1", w[8:10]), **dense_values(w[10:14]),
              **norm_values("norm2", w[14:16])}
    return functional_call(net, values, (x[0], mask))


def decoder(x, w, first):
    net = torch.nn.TransformerDecoderLayer(6, 2, 5, 0.0, batch_first=True, norm_first=first)
    values = {**attention_values("self_attn", w[:8]), **norm_values("norm1", w[8:10]),
              **attention_values("multihead_attn", w[10:18]), **norm_values("norm2", w[18:20]),
              **dense_values(w[20:24]), **norm_values("norm3", w[24:26])}
    return functional_call(net, values, (x[0], x[1], causal))


def dense_weights():
    return [normal(6, 5), normal(5), normal(5, 6), normal(6), normal(6), normal(6)]


def norm_weights():
    return [normal(6), normal(6)]


block = {"intermediate_dim": 5, "num_heads": 2}
for first in (False, True):
    which = ", norm first" if first else ""
    case("encoder" + which, ("transformer_encoder", {**block, "normalize_first": first}), [normal(2, 4, 6)],
         heads_weights() + norm_weights() + dense_weights(), lambda x, w: encoder(x, w, first))
    case("decoder" + which, ("transformer_decoder", {**block, "normalize_first": first}),
         [normal(2, 4, 6), normal(2, 5, 6)],
         heads_weights() + norm_weights() + heads_weights() + norm_weights() + dense_weights(),
         lambda x, w: decoder(x, w, first))
case("decoder alone", ("TransformerDecoder", {**block, "activation": "gelu"}), [normal(2, 4, 6)],
     heads_weights() + norm_weights() + dense_weights(), lambda x, w: encoder(x, w, False, causal, "gelu"))

# ---- more functions ----
case("relu", ("ReLU", {}), [normal(3, 4)], [], lambda x, w: F.relu(x[0]))
case("relu, all numbers", ("ReLU", {"max_value": 0.9, "negative_slope": 0.1, "threshold": 0.2}), [normal(3, 4)], [],
     lambda x, w: torch.where(x[0] >= 0.9, 0.9, torch.where(x[0] >= 0.2, x[0], 0.1 * (x[0] - 0.2))))
case("unit normalization", ("UnitNormalization", {}), [normal(3, 4, 2)], [], lambda x, w: F.normalize(x[0], dim=-1))
case("unit normalization, axis", ("UnitNormalization", {"axis": 1}), [normal(3, 4, 2)], [],
     lambda x, w: F.normalize(x[0], dim=1))
