"""Slow answers from the formulas: float64, all N x N distances, plain loops; no code of ours."""

import math
from fractions import Fraction

import numpy as np


def distances(embeddings):
    """sqrt(2 - 2 cosine) = |x - y| of unit rows; by difference, to keep small distances exact."""
    x = np.asarray(embeddings, dtype=np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.stack([np.sqrt(((x - row) ** 2).sum(axis=1)) for row in x])


def opis_reference(
    embeddings, labels, far=(0.01, 0.1), frr=None, beta=1.0, epsilon=0.1, num_thresholds=101
):
    """Return a dictionary with the fields of the definition."""
    d = distances(embeddings)
    labels = np.asarray(labels)
    i, j = np.triu_indices(len(labels), k=1)
    same = labels[i] == labels[j]
    negatives, positives = np.sort(d[i, j][~same]), np.sort(d[i, j][same])
    if frr is None:
        d_min, d_max = (_first_share(negatives, Fraction(str(rate))) for rate in far)
    else:
        d_max, d_min = (_first_share(positives, 1 - Fraction(str(rate))) for rate in frr)
    thresholds = np.linspace(d_min, d_max, num_thresholds)
    classes = [name for name in np.unique(labels) if (labels == name).sum() >= 2]
    rates = [[_rates(d, labels == name, t) for t in thresholds] for name in classes]
    utility = np.array([[_utility(*pair, beta) for pair in row] for row in rates])
    deviation = ((utility - utility.mean(axis=0)) ** 2).mean(axis=0)
    ranked = utility[np.argsort([_average(row) for row in utility], kind="stable")]
    worst = max(1, round(epsilon * len(classes)))
    gap = 0.0
    if worst < len(classes):
        gap = _average((ranked[:worst].mean(axis=0) - ranked[worst:].mean(axis=0)) ** 2)
    return {
        "opis": _average(deviation),
        "epsilon_opis": gap,
        "d_min": d_min,
        "d_max": d_max,
        "thresholds": thresholds,
        "utility": utility,
        "sensitivity": np.array(rates)[:, :, 0],
        "specificity": np.array(rates)[:, :, 1],
        "classes": np.array(classes),
        "num_excluded_classes": len(np.unique(labels)) - len(classes),
    }


def recall_reference(embeddings, labels, k):
    """Sort every other image by (distance, index) and look for the class among the first k."""
    d, count = distances(embeddings), len(labels)
    hits = 0
    for query in range(count):
        others = sorted((d[query, other], other) for other in range(count) if other != query)
        hits += any(labels[other] == labels[query] for _, other in others[:k])
    return hits / count


def map_at_r_reference(embeddings, labels):
    d, count = distances(embeddings), len(labels)
    averages = []
    for query in range(count):
        others = sorted((d[query, other], other) for other in range(count) if other != query)
        relevant = [labels[other] == labels[query] for _, other in others]
        r = sum(relevant)
        if r:
            precision = [sum(relevant[: i + 1]) / (i + 1) for i in range(r) if relevant[i]]
            averages.append(sum(precision) / r)
    return sum(averages) / len(averages)


def clustered(seed, count=120, width=16, classes=9, spread=0.6):
    """Rows around class centres, some classes wider than others; labels in random order."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, count)
    centres = draw.normal(size=(classes, width))
    widths = spread * draw.uniform(0.5, 2.0, size=(classes, 1))
    return centres[labels] + widths[labels] * draw.normal(size=(count, width)), labels


def _first_share(ordered, share):
    """Smallest value with at least this share of the values <= it."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _rates(d, inside, threshold):
    within = d[np.ix_(inside, inside)][np.triu_indices(inside.sum(), k=1)]
    across = d[np.ix_(inside, ~inside)]
    return (within <= threshold).mean(), (across > threshold).mean()


def _utility(sensitivity, specificity, beta):
    if sensitivity == 0 and specificity == 0:
        return 0.0
    return (1 + beta**2) * specificity * sensitivity / (beta**2 * specificity + sensitivity)


def _average(values):
    """Trapezoidal integral over [0, 1] with equally spaced values."""
    values = np.asarray(values)
    return float(((values[1:] + values[:-1]) / 2).mean())


def evaluation_reference(embeddings, labels, ks, far=(0.01, 0.1), num_thresholds=101):
    """Everything for larger sets: all N x N distances and a sorted row of them for each class."""
    x = np.asarray(embeddings, dtype=np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    # The Gram matrix in float64: digits enough where no distance is tiny.
    d = np.sqrt(np.maximum(2 - 2 * (x @ x.T), 0))
    labels = np.asarray(labels)
    same = labels[:, None] == labels
    once = np.triu(np.ones(d.shape, bool), 1)
    negatives = np.sort(d[once & ~same])
    ends = [_first_share(negatives, Fraction(str(rate))) for rate in far]
    thresholds = np.linspace(*ends, num_thresholds)
    utility, names = [], [name for name in np.unique(labels) if (labels == name).sum() >= 2]
    for name in names:
        inside = labels == name
        within = np.sort(d[np.ix_(inside, inside)][np.triu_indices(inside.sum(), k=1)])
        across = np.sort(d[inside][:, ~inside].ravel())
        sensitivity = np.searchsorted(within, thresholds, side="right") / len(within)
        specificity = 1 - np.searchsorted(across, thresholds, side="right") / len(across)
        utility.append(
            [_utility(*pair, 1.0) for pair in zip(sensitivity, specificity, strict=True)]
        )
    utility = np.array(utility)
    ranked = utility[np.argsort([_average(row) for row in utility], kind="stable")]
    worst = max(1, round(0.1 * len(utility)))
    np.fill_diagonal(d, np.inf)
    best = np.where(same, d, np.inf).min(axis=1, keepdims=True)
    ahead = ((d < best) & ~same).sum(axis=1)[np.isfinite(best[:, 0])]
    return {
        "opis": _average(((utility - utility.mean(axis=0)) ** 2).mean(axis=0)),
        "epsilon_opis": _average((ranked[:worst].mean(axis=0) - ranked[worst:].mean(axis=0)) ** 2),
        "d_min": ends[0],
        "d_max": ends[1],
        "recall": {k: (ahead < k).sum() / len(labels) for k in ks},
    }
