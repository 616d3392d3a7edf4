#!/usr/bin/env python3
# Epochs of the tutorial's network (784-512 relu-10 softmax, RMSprop, batches of 128) by PyTorch, one at a time.
# mnist_torch.py FOLDER as-installed|best THREADS (0: as PyTorch chooses). Rests on python3-torch; the environment that
# makes it fast comes from run.py. Pixels are floats in memory, a batch is indexed once, the loss is never read: all of
# it in PyTorch's favour. Answers as mnist_soma does, and a line "first step" before "ready".
import struct
import sys
import time

import numpy
import torch


def read_idx(path):
    with open(path, "rb") as file:
        magic, = struct.unpack(">I", file.read(4))
        shape = struct.unpack(">" + "I" * (magic & 255), file.read(4 * (magic & 255)))
        return numpy.frombuffer(file.read(), dtype=numpy.uint8).reshape(shape)


folder, configuration, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
if threads:
    torch.set_num_threads(threads)
torch.manual_seed(1)
x = torch.from_numpy(read_idx(f"{folder}/train-images-idx3-ubyte").reshape(-1, 784).astype(numpy.float32) / 255)
y = torch.from_numpy(read_idx(f"{folder}/train-labels-idx1-ubyte").astype(numpy.int64))
net = torch.nn.Sequential(torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
loss_of = torch.nn.CrossEntropyLoss()
foreach = {"foreach": True} if configuration == "best" else {}
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9, eps=1e-7, **foreach)
is_first = True


def epoch():
    global is_first
    start = time.perf_counter()
    for batch in torch.randperm(len(x)).split(128):
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x[batch]), y[batch]).backward()
        optimizer.step()
        if is_first:
            print("first step", flush=True)
            is_first = False
    return time.perf_counter() - start


epoch()
print("ready", flush=True)
while sys.stdin.readline():
    print(f"{epoch():.6f}", flush=True)
