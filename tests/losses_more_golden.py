#!/usr/bin/env python3
# Makes tests/losses_more_golden.h: CTC, losses of embeddings, losses that ignore samples; values and gradients.
# Rests on NumPy and PyTorch (Debian: python3-torch); run by hand when a case is added:
# /usr/bin/python3 tests/losses_more_golden.py >tests/losses_more_golden.h; make fmt
# CTC and triplets are PyTorch's own; the rest is written here with loops over pairs, differentiated by PyTorch.
import numpy as np
import torch

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(5)


def emit(name, values, kind="double"):
    flat = np.asarray(values).ravel()
    print(f"static const {kind} {name}[] = {{")
    for i in range(0, len(flat), 5):
        print("    " + " ".join((f"{float(v)!r}," if kind == "double" else f"{int(v)},") for v in flat[i : i + 5]))
    print("};")


print("/* CTC and losses of embeddings in float64; made by losses_more_golden.py.\n * Rests on nothing. Long because: numbers.\n"
      " * Gradients are those of the values' sum with the weights in *_weights. */")
print("#ifndef TESTS_LOSSES_MORE_GOLDEN_H\n#define TESTS_LOSSES_MORE_GOLDEN_H\n")

# ---- CTC ----
BATCH, STEPS, CLASSES, LABELS = 6, 9, 5, 4
logits = torch.tensor(rng.normal(size=(BATCH, STEPS, CLASSES)) * 2, requires_grad=True)
labels = np.array([[1, 2, 3, 4], [2, 2, 2, 0], [1, 1, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0], [4, 4, 1, 1]])
label_lengths = (labels != 0).sum(1)
input_lengths = np.array([9, 6, 3, 9, 4, 8])
weights = np.array([1.0, -0.5, 2.0, 0.25, 1.5, -1.0])
emit("ctc_logits", logits.detach())
emit("ctc_labels", labels, "int64_t")
emit("ctc_input_lengths", input_lengths, "int64_t")
emit("ctc_weights", weights)


def ctc(name, targets, steps, lengths, blank):
    logits.grad = None
    loss = torch.nn.functional.ctc_loss(
        torch.log_softmax(logits, 2).transpose(0, 1), torch.tensor(targets), torch.tensor(steps),
        torch.tensor(lengths), blank=blank, reduction="none")
    emit(f"{name}_values", loss.detach())
    (loss * torch.tensor(weights)).sum().backward()
    emit(f"{name}_gradient", logits.grad)


ctc("ctc", labels, np.full(BATCH, STEPS), label_lengths, 0)
ctc("ctc_lengths", labels, input_lengths, label_lengths, 0)
# the last class is the blank, so labels are one less
ctc("ctc_last", np.maximum(labels - 1, 0), input_lengths, label_lengths, CLASSES - 1)

# ---- embeddings ----
N, D = 7, 3
embeddings = torch.tensor(rng.normal(size=(N, D)), requires_grad=True)
classes = np.array([0, 1, 0, 2, 1, 0, 2])
weights = np.array([1.0, -0.5, 2.0, 0.25, 1.5, -1.0, 0.75])
emit("pair_embeddings", embeddings.detach())
emit("pair_classes", classes, "int64_t")
emit("pair_weights", weights)


def gradient_of(name, values):
    embeddings.grad = None
    emit(f"{name}_values", values.detach())
    (values * torch.tensor(weights)).sum().backward()
    emit(f"{name}_gradient", embeddings.grad)


def d(i, j):
    return torch.sqrt(((embeddings[i] - embeddings[j]) ** 2).sum())


same = lambda i, j: i != j and classes[i] == classes[j]
other = lambda i, j: classes[i] != classes[j]


def hard(margin):
    values = []
    for i in range(N):
        far = max(d(i, j) for j in range(N) if same(i, j))
        near = min(d(i, j) for j in range(N) if other(i, j))
        values.append(torch.relu(far - near + margin))
    return torch.stack(values)


def semi_hard(margin):
    # a value a sample, scaled so that their mean is the mean over all pairs of one class
    pairs = [(i, j) for i in range(N) for j in range(N) if same(i, j)]
    sums = [torch.tensor(0.0) for _ in range(N)]
    for i, j in pairs:
        others = [d(i, k) for k in range(N) if other(i, k)]
        beyond = [x for x in others if x > d(i, j)]
        sums[i] = sums[i] + torch.relu(d(i, j) - (min(beyond) if beyond else max(others)) + margin)
    return torch.stack(sums) * N / len(pairs)


def circle(gamma, margin):
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    values = []
    for i in range(N):
        distance = [torch.relu(1 - (unit[i] * unit[j]).sum()) for j in range(N)]
        p = [-gamma * torch.relu(margin + x) * (margin - x) for j, x in enumerate(distance) if same(i, j)]
        n = [gamma * torch.relu(1 + margin - x) * (1 - margin - x) for j, x in enumerate(distance) if other(i, j)]
        values.append(torch.nn.functional.softplus(torch.logsumexp(torch.stack(p), 0) + torch.logsumexp(torch.stack(n), 0)))
    values = torch.stack(values)
    assert (values > 0).all()
    return values


gradient_of("hard", hard(1.0))
gradient_of("hard_margin", hard(0.3))
gradient_of("semi_hard", semi_hard(1.0))
gradient_of("semi_hard_margin", semi_hard(0.3))
gradient_of("circle", circle(80, 0.4))
gradient_of("circle_options", circle(5, 0.25))
thirds = torch.tensor(rng.normal(size=(2, N, D)))
emit("triplet_thirds", thirds)
gradient_of("triplet", torch.nn.TripletMarginLoss(margin=0.7, reduction="none")(embeddings, thirds[0], thirds[1]))

# ---- contrastive ----
distances = torch.tensor(abs(rng.normal(size=N)), requires_grad=True)
emit("contrastive_distances", distances.detach())
values = torch.tensor([float(v) for v in (distances[i] ** 2 if classes[i] == 0 else torch.relu(1.2 - distances[i]) ** 2
                                          for i in range(N))])
emit("contrastive_values", values)

# ---- classes that do not count, labels that may be wrong ----
scores = torch.tensor(rng.normal(size=(N, 4)), requires_grad=True)
targets = np.array([0, 3, 255, 2, 255, 1, 3])
emit("class_scores", scores.detach())
emit("ignored_targets", targets, "int64_t")
loss = torch.nn.functional.cross_entropy(scores, torch.tensor(targets), ignore_index=255)
loss.backward()
emit("ignored_mean", [loss.detach()])
emit("ignored_gradient", scores.grad)
scores.grad = None
p = torch.softmax(scores, 1)
right = torch.stack([p[i, classes[i]] for i in range(N)])
values = (1 - right**0.3) / 0.3
emit("generalized_values", values.detach())
(values * torch.tensor(weights)).sum().backward()
emit("generalized_gradient", scores.grad)
print("\n#endif")
