# Work d, a convolutional network for digits: conv 32 3x3, pool 2, conv 64 3x3, pool 2, dropout, dense 10; Adam, batch 128.
# Rests on steps.py. The first convolution has one channel and nine weights a window: what counts there is bytes.
from steps import Work, step_part

ORDER, SUMMARY = 33, "a training step of a convolutional network for digits, beside PyTorch (work d)"
BATCH = 128


def flops(batch, training=True):
    """Forward, and when training the gradients: of weights, and to the input of all but the first layer."""
    first, others = (2, 3) if training else (1, 1)
    return 2.0 * batch * (first * 26 * 26 * 9 * 32 + others * (11 * 11 * 9 * 32 * 64 + 1600 * 10))


POOL = {"max_pooling_2d": {"pool_size": 2}}
WORK = Work(name="step of conv 32, conv 64, dense 10 on 28x28, Adam, batch 128", part="part_cnn",
            model=[{"conv_2d": {"filters": 32, "kernel_size": 3, "activation": "relu", "input_shape": [28, 28, 1]}}, POOL,
                   {"conv_2d": {"filters": 64, "kernel_size": 3, "activation": "relu"}}, POOL, "flatten",
                   {"dropout": 0.5}, {"dense": {"units": 10, "activation": "softmax"}}],
            compile={"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
            batch=BATCH, x="f32", y="i64:10", flops=flops(BATCH), ratio=2, scaling=True)


def torch_net(torch):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(32, 64, 3), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(1600, 10))
    return net.to(memory_format=torch.channels_last)


def torch_work(torch):
    net = torch_net(torch)
    x = (torch.rand(BATCH, 1, 28, 28) * 2 - 1).to(memory_format=torch.channels_last)
    y = torch.randint(10, (BATCH,))
    return net, x, y, torch.nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, foreach=True)


def run(bench):
    step_part(bench, WORK)
