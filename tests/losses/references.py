"""The losses as loops over queries and pairs, in float64, written from the published formulas.

They follow the official codes in clamping exponents at +-50. Torch serves as the arithmetic, so
that the gradients can be compared too.
"""

import torch


def unit_rows(count, dimensions=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, dimensions, generator=generator, dtype=dtype)
    return torch.nn.functional.normalize(rows, dim=1)


def sigmoid(x, temperature):
    return 1 / (1 + torch.exp(torch.clamp(-x / temperature, -50, 50)))


def rank(row, p, candidates, temperature):
    return 1 + sum(sigmoid(row[z] - row[p], temperature) for z in candidates if z != p)


def smooth_ap(similarity, labels, temperature=0.01):
    everyone, losses = range(len(labels)), []
    for q in everyone:
        own = [p for p in everyone if labels[p] == labels[q]]
        if len(own) == 1:
            continue
        row = similarity[q]
        precisions = [
            rank(row, p, own, temperature) / rank(row, p, everyone, temperature) for p in own
        ]
        losses.append(1 - sum(precisions) / len(own))
    return sum(losses) / len(losses)


def recall_at_k(similarity, labels, k_values=(1, 2, 4, 8, 16), inner=0.01, outer=1.0):
    everyone, losses = range(len(labels)), []
    for q in everyone:
        positives = [p for p in everyone if labels[p] == labels[q] and p != q]
        if not positives:
            continue
        ranks = [rank(similarity[q], p, everyone, inner) for p in positives]
        recalls = [
            torch.clamp(sum(sigmoid(k - r, outer) for r in ranks), max=k) / min(k, len(positives))
            for k in k_values
        ]
        losses.append(1 - sum(recalls) / len(k_values))
    return sum(losses) / len(losses)


def tcm(similarity, labels, margins=(0.9, 0.5), weights=(1.0, 1.0)):
    pairs = [(i, j) for i in range(len(labels)) for j in range(i)]
    same = [similarity[i, j] for i, j in pairs if labels[i] == labels[j]]
    other = [similarity[i, j] for i, j in pairs if labels[i] != labels[j]]
    low = [margins[0] - s for s in same if s <= margins[0]]
    high = [s - margins[1] for s in other if s >= margins[1]]
    return weights[0] * sum(low) / max(len(low), 1) + weights[1] * sum(high) / max(len(high), 1)
