#!/usr/bin/env python3
# A training step of the work that a part of the bench describes, by PyTorch: step_torch.py PART THREADS.
# The part's torch_work(torch) gives net, x, y, loss and optimizer. Rests on python3-torch; the environment that makes
# it fast comes from run.py. Answers as step_soma does: a line "seconds" by "seconds-a-step first-loss loss".
import importlib
import statistics
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(1)
net, x, y, loss_of, optimizer = importlib.import_module(sys.argv[1]).torch_work(torch)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(net(x), y)
    loss.backward()
    optimizer.step()
    return loss


def steps_in(seconds):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


first = step().item()
for line in sys.stdin:
    step()
    seconds = steps_in(float(line))
    last = step().item()
    if last < first:
        print(f"{seconds:.9f} {first:g} {last:g}", flush=True)
    else:
        print(f"error the loss went from {first:g} to {last:g}", flush=True)
