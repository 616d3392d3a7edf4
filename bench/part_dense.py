# Work b, a smaller network: a training step of 784-128-10 by Adam on batches of 32, beside PyTorch.
# Rests on steps.py. Too small for arithmetic alone: what a step costs beside it weighs as much.
from steps import Work, step_part

ORDER, SUMMARY = 20, "a training step of 784-128-10, Adam, batch 32, beside PyTorch (work b)"
BATCH = 32
WORK = Work(name="step of 784-128-10, Adam, batch 32", part="part_dense",
            model=[{"dense": {"units": 128, "activation": "relu", "input_shape": [784]}},
                   {"dense": {"units": 10, "activation": "softmax"}}],
            compile={"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
            batch=BATCH, x="f32", y="i64:10", flops=2.0 * BATCH * (2 * 784 * 128 + 3 * 128 * 10), ratio=6)


def torch_work(torch):
    net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    x, y = torch.rand(BATCH, 784) * 2 - 1, torch.randint(10, (BATCH,))
    return net, x, y, torch.nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, foreach=True)


def run(bench):
    step_part(bench, WORK)
