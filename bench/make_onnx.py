#!/usr/bin/env python3
# Writes an ONNX file of dense layers with random weights: make_onnx.py FILE WIDTH ACTIVATION WIDTH, and so on.
# An activation is an operator of ONNX (Relu, Softmax). Rests on python3-onnx and NumPy, not on Soma's own export: a
# peer's file should not depend on us.
import sys

import numpy
from onnx import TensorProto, helper, numpy_helper, save

path, widths, activations = sys.argv[1], [int(w) for w in sys.argv[2::2]], sys.argv[3::2]
random = numpy.random.default_rng(1)
nodes, weights, value = [], [], "x"
for i, activation in enumerate(activations):
    scale = (6 / (widths[i] + widths[i + 1])) ** 0.5
    kernel = random.uniform(-scale, scale, (widths[i], widths[i + 1])).astype(numpy.float32)
    weights += [numpy_helper.from_array(kernel, f"w{i}"),
                numpy_helper.from_array(numpy.zeros(widths[i + 1], numpy.float32), f"b{i}")]
    nodes += [helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"]),
              helper.make_node(activation, [f"z{i}"], [f"a{i}"])]
    value = f"a{i}"
graph = helper.make_graph(nodes, "dense", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", widths[0]])],
                          [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", widths[-1]])], weights)
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
