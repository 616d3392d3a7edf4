#!/usr/bin/env python3
# Writes an ONNX file of a network that a part of the bench describes: make_onnx.py PART NETWORK FILE. The part's
# torch_nets(torch)[NETWORK] gives the net and the shape of a sample; batches may have any size. Rests on PyTorch's own
# export, which folds normalization into convolutions, not on Soma's: a peer's file should not depend on us.
import importlib
import sys

import torch

torch.manual_seed(1)
net, shape = importlib.import_module(sys.argv[1]).torch_nets(torch)[sys.argv[2]]
torch.onnx.export(net.eval(), torch.rand(2, *shape), sys.argv[3], opset_version=13, input_names=["x"],
                  output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
