"""Retrieval quality: every image a query, all other images its gallery."""

from collections.abc import Iterable

import torch

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import Device, Embeddings, checked_ks, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.neighbours import nearest
from tcmbench.metrics.engine.pairs import tile_side
from tcmbench.metrics.engine.plan import Options, Sweep
from tcmbench.metrics.engine.sweep import sweep


def recall_at_k(
    embeddings: Embeddings,
    labels: Labels,
    k: Iterable[int] = (1, 2, 4, 8),
    *,
    device: Device = None,
    block_size: int | None = None,
    exact: bool | None = None,
) -> dict[int, float]:
    """Return the share of images with an image of their class among their k nearest others.

    The query itself is left out by its own index, not as the first result, so exact duplicates
    count as neighbours. Among equally near images the lowest index comes first. An image alone in
    its class is a query that always misses. A k beyond the gallery means the whole gallery.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        k: numbers of neighbours, each >= 1.
        device: where to compute; by default where the embeddings are. Results are the same.
        block_size: side of a tile of pairs; memory is O(N D + block_size^2). Results are the same.
        exact: float64 products throughout (True), or float32 ones, where only the rows that their
            rounding leaves open are counted in float64 (False). By default, what is faster at this
            size. Results are the same.

    Raises:
        UserError: unusable embeddings or labels, or a k below 1.

    Example:
        The third image's nearest other is of class 0, its second nearest of its own class.

        >>> import numpy as np
        >>> from tcmbench.metrics import recall_at_k
        >>> embeddings = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
        >>> recall_at_k(embeddings, np.array([0, 0, 1, 1]), k=(1, 2, 3))
        {1: 0.75, 2: 0.75, 3: 1.0}
    """
    wanted = checked_ks(k)
    rows = prepare(embeddings, labels, device)
    return hit_rates(sweep(rows, None, wanted, Options(block_size, exact)), wanted)


def map_at_r(
    embeddings: Embeddings,
    labels: Labels,
    *,
    device: Device = None,
    block_size: int | None = None,
) -> float:
    """Return MAP@R (Musgrave et al. 2020, arXiv 2003.08505, section 3.2).

    For a query with R other images in its class: the mean over ranks i = 1..R of precision at i
    where the i-th nearest is of the class, and 0 where it is not. The mean over queries; an image
    alone in its class (R = 0) is no query here. Neighbours and ties as in `recall_at_k`.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        device: where to compute; by default where the embeddings are. Results are the same.
        block_size: side of a tile of pairs; memory is O(N D + block_size (block_size + R)).

    Raises:
        UserError: unusable embeddings or labels, or no class with two images.
    """
    rows = prepare(embeddings, labels, device)
    if rows.sizes.max() < 2:
        raise UserError("no class has two images; MAP@R needs at least one pair of one class")
    side = tile_side(rows, block_size)
    relevant = torch.from_numpy(rows.sizes - 1).to(rows.unit.device)[rows.class_of]
    class_of_source = torch.empty_like(rows.class_of)
    class_of_source[rows.source] = rows.class_of
    total = 0.0
    for start in range(0, len(rows), side):
        queries = slice(start, min(start + side, len(rows)))
        count = relevant[queries, None]
        width = int(count.max())
        found = class_of_source[nearest(rows, queries, width, side)]
        place = torch.arange(1, width + 1, device=count.device)
        hit = (found == rows.class_of[queries, None]) & (place <= count)
        precision = hit.cumsum(1).double() / place
        total += float(((precision * hit).sum(1) / count.squeeze(1).clamp(min=1)).sum())
    return total / int((relevant > 0).sum())


def hit_rates(found: Sweep, ks: tuple[int, ...]) -> dict[int, float]:
    """Return recall at each k from the images ahead of each row's best positive."""
    if found.ahead is None:
        return {}
    return {k: int((found.ahead < k).sum()) / len(found.ahead) for k in ks}
