"""The losses as their published codes compute them, written anew: what ours are measured against.

Both need rows in order of class and as many of each, and take `size`, the rows of a class. The
sigmoid clamps its exponent as the published ones do.
"""

import torch
from torch import Tensor

K_VALUES = (1, 2, 4, 8, 16)


def sigmoid(values: Tensor, temperature: float) -> Tensor:
    """Return 1 / (1 + exp(-values / temperature)) with the exponent within +-50."""
    return 1 / (1 + torch.exp(torch.clamp(-values / temperature, -50, 50)))


def recall_at_k(rows: Tensor, size: int) -> Tensor:
    """One query at a time, and one k at a time (Patel et al. 2022, arXiv 2108.11179)."""
    losses = [_recall_loss(rows, query, size) for query in range(len(rows))]
    return torch.stack(losses).mean()


def _recall_loss(rows: Tensor, query: int, size: int) -> Tensor:
    first, own = query - query % size, query % size
    similarity = (rows[query] * rows).sum(1)
    above = sigmoid(similarity[:, None] - similarity[first : first + size], 0.01)
    for slot in range(size):
        above[first + slot, slot] = 0
    ranks = 1 + above.sum(0)
    recalls = []
    for k in K_VALUES:
        inside = sigmoid(k - ranks, 1.0)
        inside[own] = 0
        recalls.append(inside.sum().clamp(max=k) / min(k, size - 1))
    return 1 - torch.stack(recalls).mean()


def smooth_ap(rows: Tensor, size: int) -> Tensor:
    """All triples of a batch at once, memory B * B * B (Brown et al. 2020, arXiv 2007.12163)."""
    similarity = rows @ rows.T
    count = len(rows)
    others = (1 - torch.eye(count, device=rows.device)).repeat(count, 1, 1)
    above = sigmoid(similarity[:, None, :] - similarity[:, :, None], 0.01) * others
    ranks = 1 + above.sum(2)
    classes = torch.arange(count, device=rows.device) // size
    same = (classes[:, None] == classes).to(rows.dtype)
    class_ranks = 1 + (above * same[:, None, :]).sum(2)
    return 1 - ((class_ranks / ranks * same).sum(1) / size).mean()
