# Work e: a training step of ResNet-20 on images of 32x32, batch 128, SGD with momentum (He et al. 2015, section 4.2; where
# the places halve, a convolution of one place goes around the block).
# Rests on steps.py. Many small convolutions with normalization between them: bytes weigh as much as arithmetic.
from steps import Work, step_part

ORDER, SUMMARY = 36, "a training step of ResNet-20 on 32x32, beside PyTorch (work e)"
BATCH, SIDE, CLASSES = 128, 32, 10
BLOCKS = [(width, 2 if stage and not block else 1) for stage, width in enumerate((16, 32, 64)) for block in range(3)]


def flops(batch, training=True):
    """Of the convolutions and the last layer: forward, and when training both gradients, but none to the input."""
    first, others = (2, 3) if training else (1, 1)
    total, width, side = first * SIDE * SIDE * 9 * 3 * 16, 16, SIDE
    for out, stride in BLOCKS:
        side //= stride
        total += others * side * side * (9 * width * out + 9 * out * out + (width * out if stride > 1 else 0))
        width = out
    return 2.0 * batch * (total + others * width * CLASSES)


class Graph:
    """Layers and their calls as the library's JSON has them: value 0 is the input, then the result of each call."""

    def __init__(self):
        self.layers, self.calls = [{"input": [SIDE, SIDE, 3]}], []

    def call(self, layer, *inputs):
        self.layers.append(layer)
        self.calls.append({"layer": len(self.layers) - 1, "inputs": list(inputs)})
        return len(self.calls)

    def conv(self, x, width, size, stride):
        y = self.call({"conv_2d": {"filters": width, "kernel_size": size, "strides": stride, "padding": "same",
                                   "use_bias": False, "kernel_initializer": "he_normal"}}, x)
        return self.call({"batch_normalization": {"momentum": 0.9, "epsilon": 1e-5}}, y)

    def relu(self, x):
        return self.call({"activation": "relu"}, x)


def model():
    graph = Graph()
    x = graph.relu(graph.conv(0, 16, 3, 1))
    for width, stride in BLOCKS:
        y = graph.conv(graph.relu(graph.conv(x, width, 3, stride)), width, 3, 1)
        around = graph.conv(x, width, 1, stride) if stride > 1 else x
        x = graph.relu(graph.call("add", y, around))
    x = graph.call({"dense": CLASSES}, graph.call("global_average_pooling_2d", x))
    return {"layers": graph.layers, "inputs": 1, "calls": graph.calls, "outputs": [x]}


WORK = Work(name="step of ResNet-20 on 32x32, SGD with momentum, batch 128", part="part_resnet", model=model(),
            compile={"optimizer": {"sgd": {"learning_rate": 0.01, "momentum": 0.9}},
                     "loss": "sparse_categorical_crossentropy_from_logits"},
            batch=BATCH, x="f32", y="i64:10", flops=flops(BATCH), ratio=1.5, scaling=True)


def torch_net(torch):
    def conv(width, out, size, stride):
        return torch.nn.Sequential(torch.nn.Conv2d(width, out, size, stride, size // 2, bias=False),
                                   torch.nn.BatchNorm2d(out))

    class Block(torch.nn.Module):
        def __init__(self, width, out, stride):
            super().__init__()
            self.first, self.second = conv(width, out, 3, stride), conv(out, out, 3, 1)
            self.around = conv(width, out, 1, stride) if stride > 1 else torch.nn.Identity()

        def forward(self, x):
            return torch.relu(self.second(torch.relu(self.first(x))) + self.around(x))

    layers, width = [conv(3, 16, 3, 1), torch.nn.ReLU()], 16
    for out, stride in BLOCKS:
        layers.append(Block(width, out, stride))
        width = out
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, CLASSES))
    return net.to(memory_format=torch.channels_last)


def torch_work(torch):
    net = torch_net(torch)
    x = (torch.rand(BATCH, 3, SIDE, SIDE) * 2 - 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, foreach=True)
    return net, x, torch.randint(CLASSES, (BATCH,)), torch.nn.CrossEntropyLoss(), optimizer


def run(bench):
    step_part(bench, WORK)
