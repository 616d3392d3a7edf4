#!/usr/bin/env python3
# Predictions of a network by PyTorch, optimized for inference: infer_torch.py PART NETWORK THREADS.
# The part's torch_nets(torch)[NETWORK] gives the net and the shape of a sample. Rests on python3-torch. Traced, frozen
# and optimized for each size of batch: the best that PyTorch has for it. Answers as infer_soma does.
import importlib
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[3]))
torch.manual_seed(1)
net, shape = importlib.import_module(sys.argv[1]).torch_nets(torch)[sys.argv[2]]
net.eval()


def optimized(x):
    return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))


def time_calls(function, x, seconds):
    warm = time.perf_counter() + 0.1 * seconds
    while time.perf_counter() < warm:
        function(x)
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < 20 or time.perf_counter() < end:
        start = time.perf_counter()
        function(x)
        samples.append(time.perf_counter() - start)
    samples.sort()
    return samples[len(samples) // 2], samples[int(0.99 * len(samples))]


ready = {}
with torch.no_grad():
    for line in sys.stdin:
        batch, seconds = line.split()
        x = torch.rand(int(batch), *shape) * 2 - 1
        if x.ndim == 4:
            x = x.to(memory_format=torch.channels_last)
        if batch not in ready:
            ready[batch] = optimized(x)
        print("%.9f %.9f" % time_calls(ready[batch], x, float(seconds)), flush=True)
