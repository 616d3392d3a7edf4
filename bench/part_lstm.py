# Work f: a training step of an LSTM of 256 units over 64 steps of 128 features, batch 32, its last state classified.
# Rests on steps.py. Small products in a chain: what counts is the time between them.
from steps import Work, step_part

ORDER, SUMMARY = 40, "a training step of an LSTM 128 -> 256, 64 steps, beside PyTorch (work f)"
BATCH, STEPS, FEATURES, UNITS, CLASSES = 32, 64, 128, 256, 10
# Forward and the weights' gradient of both products, the gradient to the state.
FLOPS = 2.0 * BATCH * STEPS * 4 * UNITS * (2 * FEATURES + 3 * UNITS) + 6.0 * BATCH * UNITS * CLASSES
WORK = Work(name="step of an LSTM 128 -> 256, 64 steps, batch 32, Adam", part="part_lstm",
            model=[{"lstm": {"units": UNITS, "input_shape": [STEPS, FEATURES]}},
                   {"dense": {"units": CLASSES, "activation": "softmax"}}],
            compile={"optimizer": "adam", "loss": "sparse_categorical_crossentropy"},
            batch=BATCH, x="f32", y="i64:10", flops=FLOPS, ratio=2.5)


def torch_work(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
            self.dense = torch.nn.Linear(UNITS, CLASSES)

        def forward(self, x):
            return self.dense(self.lstm(x)[0][:, -1])

    net = Net()
    x, y = torch.rand(BATCH, STEPS, FEATURES) * 2 - 1, torch.randint(CLASSES, (BATCH,))
    return net, x, y, torch.nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, foreach=True)


def run(bench):
    step_part(bench, WORK)
