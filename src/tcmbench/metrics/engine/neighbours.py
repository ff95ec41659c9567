"""How many images come before the first right one, exactly."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.pairs import Tile, squared_distances
from tcmbench.metrics.engine.rounding import summing_bound

# A neighbour's key is its squared distance's bits above its input row: integers in this order are
# neighbours by distance, and by lowest input row among equals.
_INDEX_BITS = 32
_INDEX = (1 << _INDEX_BITS) - 1


@dataclass(frozen=True, slots=True)
class Best:
    """The nearest positive of each row: squared distance (infinity if none) and input row."""

    distance: Tensor
    source: Tensor


def best_positives(rows: LabelledRows, positives: Iterable[Tile]) -> Best:
    """Return each row's nearest other row of its class, from tiles of all positive pairs."""
    keys = torch.full_like(rows.source, torch.iinfo(torch.int64).max)
    for tile in positives:
        upper = _upper_half(tile.squared)
        for own, other, dim in ((tile.rows, tile.cols, 1), (tile.cols, tile.rows, 0)):
            nearest = (upper | rows.source[other].unsqueeze(1 - dim)).amin(dim)
            keys[own] = torch.minimum(keys[own], nearest)
    distance = (keys >> _INDEX_BITS).to(torch.int32).view(torch.float32)
    return Best(distance, keys & _INDEX)


def count_ahead(rows: LabelledRows, best: Best, pairs: Iterable[Tile]) -> Tensor:
    """Count [N] the images that come before each row's nearest positive; all are negatives."""
    ahead = torch.zeros_like(rows.source)
    for tile in pairs:
        for own, other, dim in ((tile.rows, tile.cols, 1), (tile.cols, tile.rows, 0)):
            limit = best.distance[own].unsqueeze(dim)
            earlier = rows.source[other].unsqueeze(1 - dim) < best.source[own].unsqueeze(dim)
            tied = (tile.squared == limit) & earlier
            ahead[own] += ((tile.squared < limit) | tied).sum(dim)
    return ahead


def rank_limits(rows: LabelledRows, best: Best) -> Tensor:
    """Return [2, N] float32 similarities: above the first a row surely comes before the best.

    Not above the second it surely does not. To the bound of `rounding.summing_bound` comes that a
    rounding by 2^-25 of each entry (see `inputs`) moves the square of a norm by 2^-24 sqrt(D) or
    less, and that exact squared distances, up to 4, are themselves compared as float32.
    """
    width = rows.unit.shape[1]
    deviation = 2.0**-24 * math.sqrt(width) * (1 + 2.0**-20)
    guard = summing_bound(width) * (1 + deviation) + deviation + 2.0**-22
    exact = 1 - best.distance.double() / 2
    limits = torch.stack([exact + guard, exact - guard]).float()
    outward = torch.tensor([[torch.inf], [-torch.inf]], device=limits.device)
    limits = limits.nextafter(outward)
    limits[:, best.distance.isinf()] = torch.inf
    return limits


def decide(
    rows: LabelledRows,
    best: Best,
    limits: Tensor,
    bounds: Tensor,
    ks: tuple[int, ...],
    side: int,
) -> Tensor:
    """Return [N] ranks (from 0) of the best positives that are on the right side of every k.

    Args:
        rows: the embeddings.
        best: their best positives.
        limits: [2, N] from `rank_limits`.
        bounds: [2, N] how many images surely, and how many possibly come before.
        ks: the k that matter; rows whose bounds lie on two sides of one are counted exactly.
        side: rows counted at a time.
    """
    surely, possibly = bounds[0], bounds[1]
    unclear = torch.zeros_like(surely, dtype=torch.bool)
    for k in ks:
        unclear |= (surely < k) & (possibly >= k)
    ahead = possibly.clone()
    for some in unclear.nonzero().squeeze(1).split(side):
        ahead[some] = _count_exactly(rows, best, limits, some, side)
    return ahead


def _count_exactly(
    rows: LabelledRows, best: Best, limits: Tensor, queries: Tensor, side: int
) -> Tensor:
    ahead = torch.zeros_like(queries)
    distance, rival = best.distance[queries, None], best.source[queries, None]
    surely, possibly = limits[0, queries, None], limits[1, queries, None]
    for start in range(0, len(rows), side):
        gallery = slice(start, min(start + side, len(rows)))
        similarity = rows.unit[queries] @ rows.unit[gallery].T
        # The best positive is the first of its class, so only the query itself must be left out.
        other = rows.source[gallery] != rows.source[queries, None]
        ahead += (other & (similarity > surely)).sum(1)
        unclear = other & (similarity > possibly) & (similarity <= surely)
        some = unclear.any(0).nonzero().squeeze(1)
        squared = squared_distances(rows, queries, start + some)
        before = (squared < distance) | (
            (squared == distance) & (rows.source[start + some] < rival)
        )
        ahead += (before & unclear[:, some]).sum(1)
    return ahead


def nearest(rows: LabelledRows, queries: slice, width: int, side: int) -> Tensor:
    """Return [q, width] the input rows of the nearest others of each query, nearest first."""
    found = rows.source.new_empty(queries.stop - queries.start, 0)
    for start in range(0, len(rows), side):
        gallery = slice(start, min(start + side, len(rows)))
        squared = squared_distances(rows, queries, gallery)
        if queries == gallery:
            squared.fill_diagonal_(torch.inf)
        found = torch.cat([found, distance_keys(squared, rows.source[None, gallery])], dim=1)
        found = found.topk(min(width, found.shape[1]), largest=False).values
    return found & _INDEX


def distance_keys(squared: Tensor, source: Tensor) -> Tensor:
    """Return integers that order neighbours by squared distance, then by input row."""
    return _upper_half(squared) | source


def _upper_half(squared: Tensor) -> Tensor:
    return squared.view(torch.int32).long() << _INDEX_BITS
