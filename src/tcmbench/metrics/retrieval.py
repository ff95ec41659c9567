"""Retrieval quality: every image a query, all other images its gallery."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tcmbench.errors import UserError
from tcmbench.metrics.inputs import Device, Embeddings, LabelledRows, Labels, prepare
from tcmbench.metrics.pairs import all_pairs, positive_pairs, squared_distances, tile_side

# A neighbour's key is its squared distance's bits above its input row: integers in this order are
# neighbours by distance, and by lowest input row among equals.
_INDEX_BITS = 32
_INDEX = (1 << _INDEX_BITS) - 1


def recall_at_k(
    embeddings: Embeddings,
    labels: Labels,
    k: Iterable[int] = (1, 2, 4, 8),
    *,
    device: Device = None,
    block_size: int | None = None,
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
    wanted = [int(number) for number in k]
    if any(number < 1 for number in wanted):
        raise UserError(f"k is {min(wanted)}; count neighbours from 1")
    rows = prepare(embeddings, labels, device)
    side = tile_side(rows, block_size)
    best = _best_positives(rows, side)
    ahead = _count_ahead(rows, best, side)[best.distance.isfinite()]
    return {number: int((ahead < number).sum()) / len(rows) for number in wanted}


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
    for queries in _slices(len(rows), side):
        count = relevant[queries, None]
        width = int(count.max())
        found = class_of_source[_nearest(rows, queries, width, side)]
        place = torch.arange(1, width + 1, device=count.device)
        hit = (found == rows.class_of[queries, None]) & (place <= count)
        precision = hit.cumsum(1).double() / place
        total += float(((precision * hit).sum(1) / count.squeeze(1).clamp(min=1)).sum())
    return total / int((relevant > 0).sum())


@dataclass(frozen=True, slots=True)
class _Best:
    """The nearest positive of each row: squared distance (infinity if none) and input row."""

    distance: Tensor
    source: Tensor


def _best_positives(rows: LabelledRows, side: int) -> _Best:
    keys = torch.full_like(rows.source, torch.iinfo(torch.int64).max)
    for tile in positive_pairs(rows, side):
        for own, other, dim in ((tile.rows, tile.cols, 1), (tile.cols, tile.rows, 0)):
            nearest = _keys(tile.squared, rows.source[other].unsqueeze(1 - dim)).amin(dim)
            keys[own] = torch.minimum(keys[own], nearest)
    distance = (keys >> _INDEX_BITS).to(torch.int32).view(torch.float32)
    return _Best(distance, keys & _INDEX)


def _count_ahead(rows: LabelledRows, best: _Best, side: int) -> Tensor:
    """Count [N] the images that come before each row's nearest positive; all are negatives."""
    ahead = torch.zeros_like(rows.source)
    for tile in all_pairs(rows, side):
        for own, other, dim in ((tile.rows, tile.cols, 1), (tile.cols, tile.rows, 0)):
            limit = best.distance[own].unsqueeze(dim)
            earlier = rows.source[other].unsqueeze(1 - dim) < best.source[own].unsqueeze(dim)
            tied = (tile.squared == limit) & earlier
            ahead[own] += ((tile.squared < limit) | tied).sum(dim)
    return ahead


def _nearest(rows: LabelledRows, queries: slice, width: int, side: int) -> Tensor:
    """Return [q, width] the input rows of the nearest others of each query, nearest first."""
    nearest = rows.source.new_empty(queries.stop - queries.start, 0)
    for gallery in _slices(len(rows), side):
        squared = squared_distances(rows, queries, gallery)
        if queries == gallery:
            squared.fill_diagonal_(torch.inf)
        nearest = torch.cat([nearest, _keys(squared, rows.source[None, gallery])], dim=1)
        nearest = nearest.topk(min(width, nearest.shape[1]), largest=False).values
    return nearest & _INDEX


def _keys(squared: Tensor, source: Tensor) -> Tensor:
    return (squared.view(torch.int32).long() << _INDEX_BITS) | source


def _slices(stop: int, side: int) -> list[slice]:
    return [slice(start, min(start + side, stop)) for start in range(0, stop, side)]
