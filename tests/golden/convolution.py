#!/usr/bin/env python3
# Makes tests/golden/convolution.txt: layers with windows as PyTorch computes them in float64.
# Rests on layer_cases.py, PyTorch and NumPy (Debian: python3-torch, python3-numpy); run by hand when a case is added:
# /usr/bin/python3 -B tests/golden/convolution.py >tests/golden/convolution.txt
# Weights are in Keras' shapes, (kernel..., in, out), and channels come last; both are turned for PyTorch here. "same" is
# written out as padding, with the odd place at the end, since PyTorch has it for strides of 1 only.
import math

import torch
import torch.nn.functional as F

from layer_cases import case, normal

print("# Values from PyTorch", torch.__version__, "in float64; made by convolution.py.")
CONV = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
BACK = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}
MAX = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}
MEAN = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def oihw(w):
    """(kernel..., in, out) -> (out, in, kernel...)"""
    return w.permute(w.dim() - 1, w.dim() - 2, *range(w.dim() - 2))


def pad(x, pairs, value=0.0):
    """x channels first; (before, after) of each axis of places"""
    return F.pad(x, [n for pair in reversed(pairs) for n in pair], value=value)


def same(x, size, stride=1, dilation=1):
    """What "same" adds to each axis of x, channels first."""
    pairs = []
    for i, extent in enumerate(x.shape[2:]):
        k, s, d = [v[i] if isinstance(v, (list, tuple)) else v for v in (size, stride, dilation)]
        total = max((math.ceil(extent / s) - 1) * s + (k - 1) * d + 1 - extent, 0)
        pairs.append((total // 2, total - total // 2))
    return pairs


def conv(x, w, pairs=None, channels_last=True, **options):
    x = first(x) if channels_last else x
    y = CONV[x.dim()](pad(x, pairs) if pairs else x, oihw(w[0]), w[1] if len(w) > 1 else None, **options)
    return last(y) if channels_last else y


# ---- Conv ----
case("conv 1d", ("conv_1d", {"filters": 3, "kernel_size": 3}), [normal(2, 5, 2)], [normal(3, 2, 3), normal(3)],
     lambda x, w: conv(x[0], w))
case("conv 1d, causal, dilated", ("Conv1D", {"filters": 2, "kernel_size": [2], "padding": "causal", "dilation_rate": 2}),
     [normal(2, 5, 2)], [normal(2, 2, 2), normal(2)], lambda x, w: conv(x[0], w, [(2, 0)], dilation=2))
case("conv 1d, same, stride, channels first",
     ("Conv1D", {"filters": 2, "kernel_size": 4, "padding": "same", "strides": 2, "data_format": "channels_first"}),
     [normal(2, 3, 7)], [normal(4, 3, 2), normal(2)],
     lambda x, w: conv(x[0], w, same(x[0], 4, 2), channels_last=False, stride=2))
case("conv 2d", ("conv_2d", {"filters": 3, "kernel_size": [3, 2], "activation": "tanh"}), [normal(2, 4, 5, 2)],
     [normal(3, 2, 2, 3), normal(3)], lambda x, w: torch.tanh(conv(x[0], w)))
case("conv 2d, one place", ("conv_2d", {"filters": 4, "kernel_size": 1, "use_bias": False}), [normal(2, 3, 2, 3)],
     [normal(1, 1, 3, 4)], lambda x, w: conv(x[0], w))
case("conv 2d, one place, stride", ("conv_2d", {"filters": 4, "kernel_size": 1, "strides": 2}), [normal(2, 3, 4, 3)],
     [normal(1, 1, 3, 4), normal(4)], lambda x, w: conv(x[0], w, stride=2))
case("conv 2d, same, even", ("conv_2d", {"filters": 2, "kernel_size": 2, "padding": "same"}), [normal(2, 3, 4, 2)],
     [normal(2, 2, 2, 2), normal(2)], lambda x, w: conv(x[0], w, same(first(x[0]), 2)))
case("conv 2d, same, strides", ("conv_2d", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": [2, 3]}),
     [normal(1, 5, 6, 2)], [normal(3, 3, 2, 2), normal(2)],
     lambda x, w: conv(x[0], w, same(first(x[0]), 3, (2, 3)), stride=(2, 3)))
case("conv 2d, groups", ("conv_2d", {"filters": 4, "kernel_size": 2, "groups": 2}), [normal(2, 3, 4, 4)],
     [normal(2, 2, 2, 4), normal(4)], lambda x, w: conv(x[0], w, groups=2))
case("conv 2d, dilated, pads, channels first",
     ("conv_2d", {"filters": 2, "kernel_size": 2, "dilation_rate": [2, 1], "pads": [1, -1, 2, 1],
                  "data_format": "channels_first"}),
     [normal(1, 2, 4, 3)], [normal(2, 2, 2, 2), normal(2)],
     lambda x, w: conv(x[0], w, [(1, 0), (2, 1)], channels_last=False, dilation=(2, 1)))
case("conv 3d", ("conv_3d", {"filters": 2, "kernel_size": 2, "strides": [1, 2, 1]}), [normal(1, 3, 4, 3, 2)],
     [normal(2, 2, 2, 2, 2), normal(2)], lambda x, w: conv(x[0], w, stride=(1, 2, 1)))
case("conv 3d, same", ("Conv3D", {"filters": 1, "kernel_size": [1, 2, 3], "padding": "same"}), [normal(1, 2, 3, 2, 2)],
     [normal(1, 2, 3, 2, 1), normal(1)], lambda x, w: conv(x[0], w, same(first(x[0]), (1, 2, 3))))


# ---- transposed: what soma_conv_transpose calls pads is cut off; what Keras' rules give is written out ----
def back(x, w, cuts, extra=0, stride=1, channels_last=True, **options):
    """The whole adjoint, more places at its end, then cut."""
    x = first(x) if channels_last else x
    y = BACK[x.dim()](x, oihw(w[0]), None, stride=stride, **options)
    y = pad(y, [(0, extra)] * len(cuts))
    for i, (before, after) in enumerate(cuts):
        y = y.narrow(2 + i, before, y.shape[2 + i] - before - after)
    y = y + w[1].reshape(-1, *[1] * len(cuts))
    return last(y) if channels_last else y


case("conv 1d transposed", ("conv_1d_transpose", {"filters": 3, "kernel_size": 3, "strides": 2}), [normal(2, 4, 2)],
     [normal(3, 3, 2), normal(3)], lambda x, w: back(x[0], w, [(0, 0)], stride=2))
case("conv 1d transposed, stride above kernel", ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3}),
     [normal(2, 3, 2)], [normal(2, 2, 2), normal(2)], lambda x, w: back(x[0], w, [(0, 0)], 1, stride=3))
case("conv 1d transposed, output padding",
     ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3, "output_padding": 2}), [normal(2, 3, 2)],
     [normal(2, 2, 2), normal(2)], lambda x, w: back(x[0], w, [(0, 0)], 2, stride=3))
case("conv 2d transposed, same", ("conv_2d_transpose", {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same"}),
     [normal(1, 3, 2, 3)], [normal(4, 4, 2, 3), normal(2)], lambda x, w: back(x[0], w, [(1, 1), (1, 1)], stride=2))
case("conv 2d transposed, same, odd",
     ("conv_2d_transpose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same",
                            "data_format": "channels_first", "activation": "sigmoid"}),
     [normal(1, 2, 2, 3)], [normal(3, 3, 2, 2), normal(2)],
     lambda x, w: torch.sigmoid(back(x[0], w, [(0, 1), (0, 1)], stride=2, channels_last=False)))
case("conv 2d transposed, same, output padding",
     ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": [-1, 1]}),
     [normal(1, 2, 3, 2)], [normal(3, 3, 2, 2), normal(2)], lambda x, w: back(x[0], w, [(1, 1), (0, 1)], stride=2))
case("conv 2d transposed, dilated, pads",
     ("Conv2DTranspose", {"filters": 1, "kernel_size": 2, "dilation_rate": 2, "pads": [1, 2]}), [normal(1, 4, 4, 2)],
     [normal(2, 2, 1, 2), normal(1)], lambda x, w: back(x[0], w, [(1, 1), (2, 2)], dilation=2))
case("conv 3d transposed", ("conv_3d_transpose", {"filters": 2, "kernel_size": 2, "strides": [1, 2, 1]}),
     [normal(1, 2, 2, 1, 2)], [normal(2, 2, 2, 2, 2), normal(2)],
     lambda x, w: back(x[0], w, [(0, 0)] * 3, stride=(1, 2, 1)))


# ---- depthwise: (kernel..., in, multiplier) -> PyTorch's (in multiplier, 1, kernel...) ----
def depthwise(x, w, pairs=None, **options):
    k = w.permute(w.dim() - 2, w.dim() - 1, *range(w.dim() - 2)).reshape(-1, 1, *w.shape[:-2])
    return CONV[x.dim()](pad(x, pairs) if pairs else x, k, groups=w.shape[-2], **options)


case("depthwise 1d", ("depthwise_conv_1d", {"kernel_size": 2, "depth_multiplier": 2}), [normal(2, 4, 2)],
     [normal(2, 2, 2), normal(4)], lambda x, w: last(depthwise(first(x[0]), w[0])) + w[1])
case("depthwise 2d", ("DepthwiseConv2D", {"kernel_size": [2, 3], "padding": "same", "strides": 2}), [normal(1, 4, 5, 3)],
     [normal(2, 3, 3, 1), normal(3)],
     lambda x, w: last(depthwise(first(x[0]), w[0], same(first(x[0]), (2, 3), 2), stride=2)) + w[1])
case("depthwise 2d, dilated, channels first",
     ("depthwise_conv_2d", {"kernel_size": 2, "depth_multiplier": 2, "dilation_rate": 2, "data_format": "channels_first",
                            "use_bias": False}),
     [normal(1, 2, 4, 3)], [normal(2, 2, 2, 2)], lambda x, w: depthwise(x[0], w[0], dilation=2))
case("separable 1d", ("separable_conv_1d", {"filters": 3, "kernel_size": 3, "padding": "causal"}), [normal(2, 4, 2)],
     [normal(3, 2, 1), normal(1, 2, 3), normal(3)],
     lambda x, w: last(depthwise(first(x[0]), w[0], [(2, 0)])) @ w[1][0] + w[2])
case("separable 2d", ("SeparableConv2D", {"filters": 3, "kernel_size": 2, "depth_multiplier": 2, "activation": "tanh"}),
     [normal(1, 3, 4, 2)], [normal(2, 2, 2, 2), normal(1, 1, 4, 3), normal(3)],
     lambda x, w: torch.tanh(last(depthwise(first(x[0]), w[0])) @ w[1][0, 0] + w[2]))


# ---- pooling ----
def mean(x, size, stride, pairs):
    """Mean of what is no padding: sums divided by counts."""
    ones = MEAN[x.dim()](pad(torch.ones_like(x), pairs), size, stride)
    return MEAN[x.dim()](pad(x, pairs), size, stride) / ones


def largest(x, size, stride, pairs):
    return MAX[x.dim()](pad(x, pairs, -math.inf), size, stride)


case("max pooling 1d", ("max_pooling_1d", {}), [normal(2, 5, 2)], [], lambda x, w: last(F.max_pool1d(first(x[0]), 2)))
case("max pooling 2d", ("max_pooling_2d", {"pool_size": 2}), [normal(2, 4, 5, 2)], [],
     lambda x, w: last(F.max_pool2d(first(x[0]), 2)))
case("max pooling 2d, same, overlapping",
     ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"}),
     [normal(1, 2, 4, 5) - 3], [], lambda x, w: largest(x[0], 3, 2, same(x[0], 3, 2)))
case("max pooling 3d", ("max_pooling_3d", {"pool_size": [1, 2, 2], "strides": 1}), [normal(1, 2, 3, 3, 2)], [],
     lambda x, w: last(F.max_pool3d(first(x[0]), (1, 2, 2), 1)))
case("average pooling 1d", ("average_pooling_1d", {"pool_size": 2, "padding": "same"}), [normal(2, 5, 2)], [],
     lambda x, w: last(mean(first(x[0]), 2, 2, same(first(x[0]), 2, 2))))
case("average pooling 2d", ("AveragePooling2D", {"pool_size": [2, 3], "strides": [1, 2]}), [normal(2, 3, 5, 2)], [],
     lambda x, w: last(F.avg_pool2d(first(x[0]), (2, 3), (1, 2))))
case("average pooling 2d, pads", ("average_pooling_2d", {"pool_size": 3, "strides": 2, "pads": [1]}),
     [normal(1, 4, 5, 2)], [], lambda x, w: last(mean(first(x[0]), 3, 2, [(1, 1), (1, 1)])))
case("average pooling 3d", ("average_pooling_3d", {"pool_size": 2}), [normal(1, 2, 4, 3, 2)], [],
     lambda x, w: last(F.avg_pool3d(first(x[0]), 2)))
for name, function in [("average", [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]),
                       ("max", [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d])]:
    case(f"adaptive {name} 1d", (f"adaptive_{name}_pooling_1d", {"output_size": 3}), [normal(2, 7, 2)], [],
         lambda x, w: last(function[0](first(x[0]), 3)))
    case(f"adaptive {name} 2d, even", (f"adaptive_{name}_pooling_2d", {"output_size": 2}), [normal(2, 4, 6, 1)], [],
         lambda x, w: last(function[1](first(x[0]), 2)))
    case(f"adaptive {name} 2d, channels first",
         (f"adaptive_{name}_pooling_2d", {"output_size": [3, 5], "data_format": "channels_first"}), [normal(1, 2, 5, 3)],
         [], lambda x, w: function[1](x[0], (3, 5)))
    case(f"adaptive {name} 3d", (f"adaptive_{name}_pooling_3d", {"output_size": [2, 1, 2]}), [normal(1, 3, 2, 3, 2)], [],
         lambda x, w: last(function[2](first(x[0]), (2, 1, 2))))
case("global average, channels first", ("global_average_pooling_2d", {"data_format": "channels_first", "keepdims": True}),
     [normal(2, 3, 4, 2)], [], lambda x, w: x[0].mean((2, 3), keepdim=True))
case("global max, channels first", ("GlobalMaxPooling1D", {"data_format": "channels_first"}), [normal(2, 3, 4)], [],
     lambda x, w: x[0].amax(2))


# ---- images of another size ----
def interpolate(x, size, mode):
    more = {"align_corners": False} if mode == "bilinear" else {}
    return F.interpolate(x, size=size, mode=mode, **more)


case("up sampling 2d, bilinear", ("up_sampling_2d", {"size": [2, 3], "interpolation": "bilinear"}), [normal(2, 3, 2, 2)],
     [], lambda x, w: last(interpolate(first(x[0]), (6, 6), "bilinear")))
case("up sampling 2d, channels first", ("UpSampling2D", {"data_format": "channels_first"}), [normal(1, 2, 2, 3)], [],
     lambda x, w: F.interpolate(x[0], scale_factor=2))
case("resizing", ("resizing", {"height": 3, "width": 7}), [normal(2, 5, 4, 2)], [],
     lambda x, w: last(interpolate(first(x[0]), (3, 7), "bilinear")))
case("resizing, nearest", ("Resizing", {"height": 4, "width": 3, "interpolation": "nearest"}), [normal(1, 3, 5, 2)], [],
     lambda x, w: last(interpolate(first(x[0]), (4, 3), "nearest-exact")))


# ---- spectral normalization: u and v are constants of the gradient ----
def spectral(kernel, u, iterations=1):
    w = kernel.reshape(-1, kernel.shape[-1])
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(u @ w.T)
            u = F.normalize(v @ w)
    return kernel / (v @ w @ u.T)[0, 0]


case("spectral normalization", ("spectral_normalization", {"layer": {"dense": {"units": 3}}, "power_iterations": 2}),
     [normal(2, 4)], [normal(4, 3), normal(3), normal(1, 3)], lambda x, w: x[0] @ spectral(w[0], w[2], 2) + w[1])
case("spectral normalization of a convolution",
     ("SpectralNormalization", {"layer": {"conv_2d": {"filters": 2, "kernel_size": 2}}}), [normal(1, 3, 3, 2)],
     [normal(2, 2, 2, 2), normal(2), normal(1, 2)],
     lambda x, w: conv(x[0], [spectral(w[0], w[2]), w[1]]), True)
