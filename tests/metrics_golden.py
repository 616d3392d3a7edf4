#!/usr/bin/python3
# Writes metrics_golden.h: data, and what every metric of a whole data set must give, by NumPy in double precision.
# Plain definitions over all samples at once; nothing of the library's way (statistics, sums of batches) is used.
# Run with a Python that has NumPy: tests/metrics_golden.py >tests/metrics_golden.h
import json
from collections import Counter
from itertools import product

import numpy as np

rng = np.random.default_rng(7)
N, K, M = 83, 6, 3

# float32 on both sides, on a grid that thresholds fall between
scores = np.round(rng.random((N, K)) * 1024) / 1024 + 1 / 4096
classes = rng.integers(0, K - 1, N)  # the last class never is the right one
scores[np.arange(N), classes] += np.where(rng.random(N) < 0.5, 0.75, 0)
scores = (scores / 2).astype(np.float32).astype(float)
scores[3, 1] = scores[3, 4] = scores[3].max()  # ties
labels = (rng.random((N, M)) < 0.4).astype(float)  # several labels of one sample
chances = np.clip(np.round((labels * 0.3 + rng.random((N, M)) * 0.7) * 512) / 512 + 1 / 2048, 0, 1)
truth = rng.normal(size=(N, M)).astype(np.float32).astype(float)
guess = (0.8 * truth + 0.4 * rng.normal(size=(N, M)) + 0.1).astype(np.float32).astype(float)
chances = chances.astype(np.float32).astype(float)
onehot = np.eye(K)[classes]


def ratio(a, b):
    return a / b if b > 0 else 0.0


def counts(y, said):
    return (y * said).sum(), ((1 - y) * said).sum(), (y * (1 - said)).sum(), ((1 - y) * (1 - said)).sum()


def said_by(p, thresholds=None, top_k=0):
    said = np.ones_like(p)
    if top_k:
        order = np.argsort(-p, axis=-1, kind="stable")
        said = np.zeros_like(p)
        np.put_along_axis(said, order[:, :top_k], 1, axis=-1)
        return said if thresholds is None else said * (p > thresholds)
    return (p > (0.5 if thresholds is None else thresholds)).astype(float)


def confusion(y, p, thresholds=None, class_id=None, top_k=0):
    said = said_by(p, thresholds, top_k)
    if class_id is not None:
        y, said = y[:, class_id], said[:, class_id]
    return counts(y, said)


def points(y, p, n, margin, given=None):
    limits = np.linspace(0, 1, n) if given is None else np.array([0] + sorted(given) + [1], float)
    limits[0], limits[-1] = -margin, 1 + margin
    return [counts(y, (p > limit).astype(float)) for limit in limits]


def at(kind, y, p, value, num_thresholds=200, class_id=None):
    if class_id is not None:
        y, p = y[:, class_id], p[:, class_id]
    best = 0.0
    for tp, fp, fn, tn in points(y, p, num_thresholds, 0):
        precision, recall, specificity = ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(tn, tn + fp)
        have, want = {"precision_at_recall": (recall, precision), "recall_at_precision": (precision, recall),
                      "sensitivity_at_specificity": (specificity, recall),
                      "specificity_at_sensitivity": (recall, specificity)}[kind]
        if have >= value:
            best = max(best, want)
    return best


def auc(y, p, num_thresholds=200, curve="ROC", summation_method="interpolation", multi_label=False, from_logits=False,
        thresholds=None):
    if from_logits:
        p = 1 / (1 + np.exp(-p))
    if multi_label:
        return np.mean([auc(y[:, k], p[:, k], num_thresholds, curve, summation_method, thresholds=thresholds)
                        for k in range(y.shape[1])])
    at_all = points(y, p, num_thresholds, 1e-7, thresholds)
    area = 0.0
    for a, b in zip(at_all[:-1], at_all[1:]):
        if curve == "PR" and summation_method == "interpolation":
            # tp grows in proportion to tp + fp: the integral of (tp_b + slope (q - q_b)) / q over d recall
            (tp_a, fp_a, fn_a, _), (tp_b, fp_b, _, _) = a, b
            qa, qb = tp_a + fp_a, tp_b + fp_b
            slope = ratio(tp_a - tp_b, qa - qb)
            rest = tp_b - slope * qb
            inner = tp_a - tp_b + (rest * np.log(qa / qb) if qa > 0 and qb > 0 else 0)
            area += slope * inner / (tp_a + fn_a)
            continue
        xs, ys = [], []
        for tp, fp, fn, tn in (a, b):
            recall, fall, precision = ratio(tp, tp + fn), ratio(fp, fp + tn), ratio(tp, tp + fp)
            xs.append(recall if curve == "PR" else fall)
            ys.append(precision if curve == "PR" else recall)
        height = {"interpolation": np.mean(ys), "minoring": min(ys), "majoring": max(ys)}[summation_method]
        area += (xs[0] - xs[1]) * height
    return area


def decided(p, threshold=None):
    if threshold is not None:
        return (p > threshold).astype(float)
    return np.eye(p.shape[1])[p.argmax(1)] if p.shape[1] > 1 else (p > 0.5).astype(float)


def f_beta(y, p, beta=1.0, average="macro", threshold=None, class_id=None):
    d = decided(p, threshold)
    if class_id is not None:
        y, d = y[:, class_id:class_id + 1], d[:, class_id:class_id + 1]
    if average == "micro":
        y, d = y.reshape(-1, 1), d.reshape(-1, 1)
    values, weights = [], []
    for k in range(y.shape[1]):
        tp, fp, fn, _ = counts(y[:, k], d[:, k])
        precision, recall = ratio(tp, tp + fp), ratio(tp, tp + fn)
        values.append(ratio((1 + beta**2) * precision * recall, beta**2 * precision + recall))
        weights.append(tp + fn)
    return np.average(values, weights=weights if average == "weighted" else None)


def iou(y, d, targets=None, ignore=None):
    values = []
    if ignore is not None:
        y, d = y[ignore], d[ignore]
    for k in range(y.shape[1]) if targets is None else targets:
        union = np.maximum(y[:, k], d[:, k]).sum()
        if union:
            values.append((y[:, k] * d[:, k]).sum() / union)
    return np.mean(values)


def sides(x):
    x = x.reshape(-1, 1)
    return np.hstack([1 - x, x])


def r2(y, p, class_aggregation="uniform_average", num_regressors=0):
    rest, all_of_it = ((y - p) ** 2).sum(0), ((y - y.mean(0)) ** 2).sum(0)
    each = 1 - rest / all_of_it
    value = each.mean() if class_aggregation == "uniform_average" else np.average(each, weights=all_of_it)
    return 1 - (1 - value) * (len(y) - 1) / (len(y) - num_regressors - 1) if num_regressors else value


def pearson(y, p):
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(y, p)]) if y.shape[1] > 1 else np.corrcoef(y[:, 0], p[:, 0])[0, 1]


def concordance_of(a, b):
    return 2 * ((a - a.mean()) * (b - b.mean())).mean() / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)


def concordance(y, p):
    return np.mean([concordance_of(a, b) for a, b in zip(y, p)]) if y.shape[1] > 1 else concordance_of(y[:, 0], p[:, 0])


def top_k(y, p, k):
    right = p[np.arange(len(p)), y.argmax(1)]
    return np.mean((p > right[:, None]).sum(1) < k)


cases = []


def case(data, metric, value):
    cases.append((data, metric if isinstance(metric, str) else json.dumps(metric), float(value)))


for options in ({}, {"thresholds": 0.3}, {"class_id": 2}, {"top_k": 2}, {"top_k": 3, "thresholds": 0.45},
                {"class_id": 1, "top_k": 2}, {"class_id": 5}):
    tp, fp, fn, tn = confusion(onehot, scores, **options)
    for name, value in (("precision", ratio(tp, tp + fp)), ("recall", ratio(tp, tp + fn)), ("true_positives", tp),
                        ("false_positives", fp), ("false_negatives", fn), ("true_negatives", tn)):
        case("CLASSES", {name: options}, value)
for kind, given in (("precision_at_recall", "recall"), ("recall_at_precision", "precision"),
                    ("sensitivity_at_specificity", "specificity"), ("specificity_at_sensitivity", "sensitivity")):
    for value, more in ((0.6, {}), (0.9, {"num_thresholds": 17}), (0.3, {"class_id": 1}), (1, {"num_thresholds": 2})):
        case("LABELS", {kind: {given: value, **more}}, at(kind, labels, chances, value, **more))
    case("CLASSES", {kind: {given: 0.5, "class_id": 3}}, at(kind, onehot, scores, 0.5, class_id=3))
for curve, method, several in product(("ROC", "PR"), ("interpolation", "minoring", "majoring"), (False, True)):
    options = {"curve": curve, "summation_method": method, "multi_label": several, "num_thresholds": 33}
    case("LABELS", {"auc": options}, auc(labels, chances, **options))
case("LABELS", '"auc"', auc(labels, chances))
case("LABELS", {"auc": {"from_logits": True}}, auc(labels, chances, from_logits=True))
case("CLASSES", '"AUC"', auc(onehot, scores))
for several, chosen in product((False, True), ([0.5], [0.7, 0.1, 0.35], [0, 1], [0.2, 0.2, 0.9])):
    case("LABELS", {"auc": {"thresholds": chosen, "multi_label": several}},
         auc(labels, chances, thresholds=chosen, multi_label=several))
case("CLASSES", {"auc": {"thresholds": [round(k / 26, 2) for k in range(26)], "curve": "PR"}},
     auc(onehot, scores, curve="PR", thresholds=[round(k / 26, 2) for k in range(26)]))
for average, more in product(("macro", "micro", "weighted"), ({}, {"threshold": 0.4})):
    case("CLASSES", {"f1_score": {"average": average, **more}}, f_beta(onehot, scores, 1, average, **more))
    case("CLASSES", {"fbeta_score": {"beta": 0.5, "average": average, **more}},
         f_beta(onehot, scores, 0.5, average, **more))
case("CLASSES", {"fbeta_score": {"beta": 2, "class_id": 2}}, f_beta(onehot, scores, 2, class_id=2))
case("LABELS", {"f1_score": {"threshold": 0.5}}, f_beta(labels, chances, threshold=0.5))
case("CLASSES", '"MeanIoU"', iou(onehot, decided(scores)))
case("CLASSES", {"mean_iou": {"num_classes": 6, "ignore_class": 2}}, iou(onehot, decided(scores), None, classes != 2))
case("CLASSES", {"mean_iou": {"ignore_class": -1, "sparse_y_true": True}}, iou(onehot, decided(scores)))
case("CLASSES", {"iou": {"ignore_class": 0, "target_class_ids": [1, 3, 4], "num_classes": 6}},
     iou(onehot, decided(scores), [1, 3, 4], classes != 0))
case("CLASSES", {"iou": {"target_class_ids": [0, 3]}}, iou(onehot, decided(scores), [0, 3]))
case("CLASSES", {"one_hot_iou": {"target_class_ids": [5, 1, 2]}}, iou(onehot, decided(scores), [5, 1, 2]))
for threshold, one in product((0.5, 0.25), (None, 0, 1)):
    case("LABELS", {"binary_iou": {"threshold": threshold, **({} if one is None else {"class_id": one})}},
         iou(sides(labels), sides((chances >= threshold).astype(float)), None if one is None else [one]))
for k in (1, 2, 5):
    case("CLASSES", {"sparse_top_k_categorical_accuracy": {"k": k}}, top_k(onehot, scores, k))
case("CLASSES", '"sparse_categorical_accuracy"', np.mean(scores.argmax(1) == classes))
for threshold in (0.5, 0.3):
    case("LABELS", {"binary_accuracy": {"threshold": threshold}}, np.mean((chances > threshold) == labels))
case("NUMBERS", '"root_mean_squared_error"', np.sqrt(((truth - guess) ** 2).mean()))
for how, p in product(("uniform_average", "variance_weighted_average"), (0, 4)):
    case("NUMBERS", {"r2_score": {"class_aggregation": how, "num_regressors": p}}, r2(truth, guess, how, p))
case("NUMBERS", '"PearsonCorrelation"', pearson(truth, guess))
case("NUMBERS", '"ConcordanceCorrelation"', concordance(truth, guess))
case("ONE", '"pearson_correlation"', pearson(truth[:, :1], guess[:, :1]))
case("ONE", '"concordance_correlation"', concordance(truth[:, :1], guess[:, :1]))
cosines = (truth * guess).sum(1) / np.linalg.norm(truth, axis=1) / np.linalg.norm(guess, axis=1)
case("NUMBERS", '"cosine_similarity"', cosines.mean())
case("NUMBERS", '"log_cosh_error"', np.log(np.cosh(guess - truth)).mean())
case("NUMBERS", '"mean_absolute_error"', np.abs(guess - truth).mean())
case("NUMBERS", {"huber": {"delta": 0.3}}, np.where(np.abs(guess - truth) <= 0.3, 0.5 * (guess - truth) ** 2,
                                                   0.3 * np.abs(guess - truth) - 0.045).mean())
normal = scores / scores.sum(1, keepdims=True)
case("CLASSES", '"perplexity"', np.exp(-np.log(normal[np.arange(N), classes]).mean()))

# ---- texts ----

HYPOTHESES = ["the cat the cat on the mat", "it is a guide to action which ensures that the military always obeys",
              "a a a", "gute Äpfel sind rot"]
REFERENCES = [["the cat is on the mat", "there is a cat on the mat"],
              ["it is a guide to action that ensures that the military will forever heed commands",
               "it is the guiding principle which guarantees the military forces always being under command"],
              ["a b c d", "a a b c"], ["gute Apfel sind  grün", "Äpfel sind rot"]]


def grams(words, n):
    return Counter(tuple(words[i:i + n]) for i in range(len(words) - n + 1))


def bleu(hypotheses, references, orders=4, smoothing="none", value=None):
    hits, totals, c, r = [0] * orders, [0] * orders, 0, 0
    for hypothesis, its in zip(hypotheses, references):
        words, its = hypothesis.split(), [x.split() for x in its]
        c += len(words)
        r += min((abs(len(x) - len(words)), len(x)) for x in its)[1]
        for n in range(1, orders + 1):
            most = Counter()
            for x in its:
                most |= grams(x, n)
            mine = grams(words, n)
            hits[n - 1] += sum((mine & most).values())
            totals[n - 1] += sum(mine.values())
    product_of, halved = 1.0, 1.0
    for n in range(orders):
        h, t = hits[n], totals[n]
        if smoothing == "add_k" and n:
            h, t = h + (value or 1), t + (value or 1)
        if h == 0 and smoothing == "floor":
            h = value or 0.1
        if h == 0 and smoothing == "exp":
            halved /= 2
            h = halved
        product_of *= (h / t if t else 0) ** (1 / orders)
    return product_of * (1 if c >= r else np.exp(1 - r / c))


def distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, j in product(range(len(a)), range(len(b))):
        table[i + 1, j + 1] = min(table[i, j] + (a[i] != b[j]), table[i, j + 1] + 1, table[i + 1, j] + 1)
    return table[-1, -1]


def error_rate(split):
    pairs = [(split(r[0]), split(h)) for h, r in zip(HYPOTHESES, REFERENCES)]
    return sum(distance(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs)


def write(name, values, kind="float", columns=8):
    flat = [f"{v:.9g}" if kind != "float" else (f"{v:.9g}f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else f"{v:.9g}.0f")
            for v in np.asarray(values).ravel()]
    print(f"static const {kind} {name}[{len(flat)}] = {{")
    for i in range(0, len(flat), columns):
        print("    " + ", ".join(flat[i:i + columns]) + ",")
    print("};")


print("/* Data and what metrics must give for them, written by metrics_golden.py: do not edit.")
print(" * Rests on nothing.")
print(" * Values are NumPy's, in double precision. */")
print("/* clang-format off */")
print("#ifndef TESTS_METRICS_GOLDEN_H")
print("#define TESTS_METRICS_GOLDEN_H")
print(f"enum {{ GOLDEN_N = {N}, GOLDEN_CLASSES = {K}, GOLDEN_OUTPUTS = {M} }};")
write("golden_scores", scores)
write("golden_classes", classes, "int64_t", 20)
write("golden_labels", labels)
write("golden_chances", chances)
write("golden_truth", truth)
write("golden_guess", guess)
print("static const struct { golden_data data; const char *metric; double value; } golden_metrics[] = {")
for data, metric, value in cases:
    print(f'    {{{data}, {json.dumps(metric)}, {value:.17g}}},')
print("};")
print("static const char *const golden_hypotheses[] = {")
print(",\n".join("    " + json.dumps(h, ensure_ascii=False) for h in HYPOTHESES) + "};")
print("static const char *const golden_references[] = {")
print(",\n".join("    " + json.dumps(x, ensure_ascii=False) for r in REFERENCES for x in r) + "};")
print("static const struct { int orders, smoothing; double value, bleu; } golden_bleu[] = {")
for orders, smoothing, value in ((4, 0, 0), (1, 0, 0), (2, 0, 0), (8, 0, 0), (4, 1, 0.01), (8, 1, 0), (4, 2, 0), (3, 2, 2),
                                 (8, 3, 0), (7, 2, 0)):
    result = bleu(HYPOTHESES, REFERENCES, orders, ("none", "floor", "add_k", "exp")[smoothing], value or None)
    print(f"    {{{orders}, {smoothing}, {value}, {result:.17g}}},")
print("};")
only_first = bleu(HYPOTHESES[:1], [REFERENCES[0][:1]], 2)
print(f"static const double golden_bleu_of_one = {only_first:.17g};")
print(f"static const double golden_wer = {error_rate(str.split):.17g}, golden_cer = {error_rate(list):.17g};")
print("#endif")
