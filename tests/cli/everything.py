#!/usr/bin/env python3
# Trains a tiny network from YAML for everything that has a name: each loss, metric, optimizer, schedule, callback,
# activation, initializer, regularizer, constraint, and each layer: those with a case in tests/golden on its samples,
# those with several inputs in a graph.
# Rests on `soma names`, so what is new is covered by itself. Prints what fails, and at the end how many of what ran.
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["SOMA_SOURCE"])
failures, counts = 0, {}

X = [[0.1 * i, 1 - 0.2 * i, 0.3 * (i % 3)] for i in range(8)]
PROBABILITIES = [[0.2, 0.8], [0.9, 0.1], [0.5, 0.5], [0.3, 0.7], [0.6, 0.4], [1, 0], [0, 1], [0.25, 0.75]]
INDICES = [0, 1, 1, 0, 1, 0, 0, 1]
# Names that need something in particular. Everything else takes probabilities of two classes.
NUMBERS = {"exponential_decay": {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5},
           "inverse_time_decay": {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5},
           "cosine_decay_restarts": {"initial_learning_rate": 0.1, "first_decay_steps": 3},
           "piecewise_constant_decay": {"boundaries": [2, 4], "values": [0.1, 0.05, 0.01]}}
SCHEDULE = {"initial_learning_rate": 0.1, "decay_steps": 4}
OPTIONS = {"model_checkpoint": "best-{epoch}.soma", "csv_logger": "log.csv", "json_logger": "log.jsonl",
           "backup_and_restore": "backup.soma", "learning_rate_scheduler": {"schedule": {"cosine_decay": SCHEDULE}}}
MONITOR = {"early_stopping", "model_checkpoint", "reduce_lr_on_plateau"}


def names(what):
    return json.loads(subprocess.run(["soma", "names", what, "--json"], check=True, capture_output=True).stdout)[what]


def train(kind, name, config, must_write=(), others=()):
    """others: what to try instead where the first does not fit, as losses want labels of different kinds."""
    global failures
    counts[kind] = counts.get(kind, 0) + 1
    problems = []
    for attempt in (config, *others):
        problem = try_one(attempt, must_write)
        if not problem:
            return
        problems.append(problem)
    failures += 1
    print(f"{kind} {name}: " + "; ".join(problems))


def try_one(config, must_write):
    config = {"x": X, "y": INDICES, "layers": [{"dense": {"units": 2, "activation": "softmax"}}], "epochs": 2,
              "batch_size": 4, "seed": 1, "output": "out.soma", "progress": "none", **config}
    Path("one.yaml").write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in config.items()))
    for path in ("out.soma", *must_write):
        Path(path).unlink(missing_ok=True)
    run = subprocess.run(["soma", "train", "one.yaml"], capture_output=True, text=True)
    missing = [path for path in ("out.soma", *must_write) if not Path(path).exists()]
    if run.returncode or missing:
        return f"exit code {run.returncode}, missing {missing}: {run.stderr.strip()}"
    # what is written in the file can be read again
    again = subprocess.run(["soma", "summary", "out.soma"], capture_output=True, text=True)
    return f"not read again: {again.stderr.strip()}" if again.returncode else None


SEQUENCES = {"x": [[[0.1 * i * j, 0.5, 1] for j in range(6)] for i in range(8)], "layers": [{"dense": 3}],
             "y": [[1, 1 + i % 2] for i in range(8)]}  # six steps, three symbols
ONE_OUTPUT = {"y": INDICES, "layers": [{"dense": {"units": 1, "activation": "sigmoid"}}]}

for name in names("losses"):
    kinds = [{"loss": name, "metrics": [], **what}
             for what in ({"y": PROBABILITIES}, {"y": INDICES}, ONE_OUTPUT, SEQUENCES)]
    train("losses", name, kinds[0], others=kinds[1:])
for name in names("metrics"):
    kinds = [{"loss": "mse", "y": PROBABILITIES}, {"loss": "sparse_categorical_crossentropy", "y": INDICES}]
    kinds = [{**kind, "metrics": [{name: {"name": "mine"}}]} for kind in kinds]
    train("metrics", name, kinds[0], others=kinds[1:])
for name in names("optimizers"):
    train("optimizers", name, {"optimizer": {name: {"learning_rate": 0.01, "weight_decay": 0.001, "clipnorm": 1}},
                               "loss": "sparse_categorical_crossentropy"})
for name in names("schedules"):
    train("schedules", name, {"optimizer": {"sgd": {"learning_rate": {name: NUMBERS.get(name, SCHEDULE)}}},
                              "loss": "sparse_categorical_crossentropy"})
for name in names("callbacks"):
    options = OPTIONS.get(name, {})
    if name in MONITOR:
        options = {"monitor": "loss", **({"filepath": options} if isinstance(options, str) else options)}
    written = {"csv_logger": ["log.csv"], "json_logger": ["log.jsonl"], "model_checkpoint": ["best-1.soma"],
               "tensorboard": ["logs/train"]}.get(name, [])
    train("callbacks", name, {"callbacks": [{name: options} if options else name], "optimizer": {"sgd": {"use_ema": True}},
                              "loss": "sparse_categorical_crossentropy"}, () if name == "tensorboard" else written)
for what, option in (("initializers", "kernel_initializer"), ("regularizers", "kernel_regularizer"),
                     ("constraints", "kernel_constraint"), ("activations", "activation")):
    for name in names(what):
        value = {"constant": {"value": 0.5}}.get(name, name)
        if name == "constant":
            value = {"constant": {"value": 0.5}}
        layers = [{"dense": {"units": 4, option: value}}, {"dense": {"units": 2, "activation": "softmax"}}]
        train(what, name, {"layers": layers, "loss": "sparse_categorical_crossentropy"})


# ---- layers: the cases of tests/golden that have one input of numbers ----

def nested(values, shape):
    if not shape:
        return values.pop(0)
    return [nested(values, shape[1:]) for _ in range(shape[0])]


def cases():
    for path in sorted((SOURCE / "tests" / "golden").glob("*.txt")):
        for part in path.read_text().split("\ncase ")[1:]:
            lines = part.split("\n")
            layer = next((line[6:] for line in lines[1:] if line.startswith("layer ")), None)
            inputs = [line.split() for line in lines if line.startswith("input ")]
            if layer and len(inputs) == 1 and inputs[0][1] == "f":
                rank = int(inputs[0][2])
                shape = [int(n) for n in inputs[0][3:3 + rank]]
                try:
                    layer = json.loads(layer)
                except json.JSONDecodeError:
                    continue  # what only C can make
                yield lines[0], layer, shape, [float(v) for v in inputs[0][3 + rank:]]


seen = set()
for title, layer, shape, values in cases():
    if not isinstance(layer, dict) or len(layer) != 1 or len(shape) < 2:
        continue
    (name, options), = layer.items()
    if not isinstance(options, dict) or name in seen:
        continue  # one case of each class is enough here: the values are another test's
    seen.add(name)
    options = {key: value for key, value in options.items() if key not in ("dtype", "stateful", "return_state")}
    layers = [{name: {**options, "input_shape": shape[1:]}}, "flatten", {"dense": 1}]
    train("layers", title, {"layers": layers, "x": nested(values, shape), "loss": "mse", "metrics": [],
                            "y": [0.5 * i for i in range(shape[0])]})

# ---- layers with several inputs, in a graph: a query, a value and a key made of the same samples ----

SERIES = [[[0.1 * (i + j), 0.3 * (i % 3), 0.2 * j] for j in range(5)] for i in range(8)]
VECTORS = [[0.1 * i, 0.3 * (i % 3), 0.5] for i in range(8)]
PAIR, STATES = ["query", "value"], ["query", "value", "key"]
MERGES = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate")


def graph(title, name, options, inputs, x=SERIES, units=(4, 4, 4)):
    """A layer on several results: three dense ones that look at the samples, of so many units."""
    layers = [{"input": {"name": "samples"}}]
    layers += [{"dense": {"units": n, "inputs": "samples", "name": one}}
               for one, n in zip(STATES, units) if one in inputs]
    layers += [{name: {**options, "inputs": inputs}}, "flatten", {"dense": 1}]
    train("layers", title, {"layers": layers, "x": x, "loss": "mse", "metrics": [], "y": [0.5 * i for i in range(8)]})


for name in MERGES:
    graph(name, name, {}, PAIR if name == "subtract" else STATES)
graph("dot", "dot", {"axes": [1, 1], "normalize": True}, PAIR)
for name, options in (("attention", {"use_scale": True}), ("additive_attention", {}),
                      ("multi_head_attention", {"num_heads": 2, "key_dim": 3}),
                      ("group_query_attention", {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2})):
    graph(name + " of two", name, options, PAIR)
    graph(name + " of three", name, options, STATES)
graph("transformer_decoder", "transformer_decoder", {"intermediate_dim": 8, "num_heads": 2}, PAIR)
for name, inputs in (("simple_rnn_cell", PAIR), ("gru_cell", PAIR), ("lstm_cell", STATES)):
    graph(name, name, {"units": 4}, inputs, VECTORS)
graph("stacked_rnn_cells", "stacked_rnn_cells", {"cell_0": {"gru_cell": 4}, "cell_1": {"simple_rnn_cell": 3}}, STATES,
      VECTORS, (4, 4, 3))

# states that go from one recurrent layer to another, a layer that is called twice, each way to merge two directions
encoder = [{"input": {"name": "samples"}},
           {"lstm": {"units": 4, "return_sequences": True, "return_state": True, "name": "encoder"}},
           {"lstm": {"units": 4, "return_sequences": True, "inputs": ["samples", "encoder:1", "encoder:2"]}},
           {"dense": {"units": 3, "name": "head"}}, {"call": {"layer": "head", "inputs": "encoder", "name": "again"}},
           {"concatenate": {"inputs": ["head", "again"]}}, "flatten", {"dense": 1}]
train("layers", "encoder and decoder", {"layers": encoder, "x": SERIES, "loss": "mse", "metrics": [], "y": INDICES})
for mode in ("concat", "sum", "mul", "ave"):
    layers = [{"bidirectional": {"layer": {"gru": 3}, "merge_mode": mode, "backward_layer": {"lstm": {
        "units": 3, "go_backwards": True}}}}, {"dense": 1}]
    train("layers", "bidirectional " + mode, {"layers": layers, "x": SERIES, "loss": "mse", "metrics": [], "y": INDICES})

# Those without a case yet: alone on samples of some shape, which the first that fits decides.
SEVERAL = {*MERGES, "dot", "attention", "additive_attention", "multi_head_attention", "group_query_attention",
           "transformer_decoder", "simple_rnn_cell", "lstm_cell", "gru_cell", "stacked_rnn_cells"}
FIRST = {"discretization": {"num_bins": 3}, "category_encoding": {"num_tokens": 5},
         "integer_lookup": {"vocabulary": [1, 2, 40]},
         "einsum_dense": {"equation": "ab,bc->ac", "output_shape": [3]}, "dense": 3, "activation": "tanh", "rescaling": 0.5, "reshape": {"target_shape": [-1, 1]}, "repeat_vector": 2,
         "embedding": {"input_dim": 20, "output_dim": 4}, "rnn": {"cell": {"gru_cell": 4}},
         "center_crop": {"height": 3, "width": 4}, "random_crop": {"height": 3, "width": 4},
         "random_translation": {"height_factor": 0.2, "width_factor": [-0.1, 0.1]}, "random_rotation": 0.1,
         "random_zoom": {"height_factor": [-0.2, 0.1]}, "random_brightness": 0.2, "random_contrast": [0.1, 0.3]}
SHAPES = [[6], [4, 3], [6, 6, 2], [4, 6, 6, 2], [3, 6, 6, 6, 2], [6, 6, 6, 2]]
for name in names("layers"):
    if name in seen | SEVERAL:
        continue
    kinds = []
    for shape in SHAPES:
        values = [float(i * 7 % 5) for i in range(2 * functools.reduce(lambda a, b: a * b, shape))]
        options = shape if name == "input" else FIRST.get(name)
        for given in (options, {"filters": 2, "kernel_size": 2}, {"units": 2}, {"rate": 0.2}):
            layers = [{name: given} if given is not None else name, "flatten", {"dense": 1}]
            kinds.append({"layers": layers, "x": nested(list(values), [2] + shape), "loss": "mse", "metrics": [],
                          "y": [0.5, 1], "batch_size": 2})
    train("layers", name, kinds[0], others=kinds[1:])

if not all(counts.get(what) for what in ("losses", "metrics", "optimizers", "schedules", "callbacks", "layers")):
    failures += 1
    print("nothing was tried of something:", counts)
print(f"{failures} failures")
sys.exit(failures != 0)
