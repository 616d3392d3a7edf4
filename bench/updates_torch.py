#!/usr/bin/env python3
# What moves more than it computes, by PyTorch: updates_torch.py THREADS. Answers as updates_soma does: a line
# "what rows columns seconds" by "seconds-a-run". Rests on python3-torch; run.py sets the environment it is fastest in.
import statistics
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)


def of_rows(function):
    """A function of x without a gradient."""
    def make(rows, columns):
        x = torch.rand(rows, columns)
        def run():
            with torch.no_grad():
                return function(x)
        return run
    return make


def crossentropy(rows, columns):
    x = torch.rand(rows, columns, requires_grad=True)
    labels = torch.arange(rows) * 7919 % columns

    def run():
        x.grad = None
        torch.nn.functional.cross_entropy(x, labels).backward()
    return run


def update(optimizer, **options):
    def make(rows, columns):
        w = torch.zeros(rows, columns, requires_grad=True)
        w.grad = torch.rand(rows, columns)
        return optimizer([w], foreach=True, **options).step
    return make


WORKS = {"softmax": of_rows(lambda x: torch.nn.functional.softmax(x, -1)),
         "layernorm": of_rows(lambda x: torch.nn.functional.layer_norm(x, x.shape[-1:])),
         "crossentropy": crossentropy,
         "rmsprop": update(torch.optim.RMSprop, lr=1e-3, alpha=0.9, eps=1e-7),
         "adam": update(torch.optim.Adam, lr=1e-3, eps=1e-7)}

for line in sys.stdin:
    what, rows, columns, seconds = line.split()
    run = WORKS[what](int(rows), int(columns))
    run()
    times, end = [], time.perf_counter() + float(seconds)
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(f"{statistics.median(times):.9f}", flush=True)
