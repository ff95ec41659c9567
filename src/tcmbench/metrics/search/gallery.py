"""Queries against a separate gallery: exact recall@k, and the nearest images."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from tcmbench.metrics.engine.inputs import Device, Embeddings, checked_ks
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.neighbours import distance_keys
from tcmbench.metrics.engine.pairs import squared_distances
from tcmbench.metrics.search.sides import TwoSides, two_sides

_INFINITE = int(torch.tensor(torch.inf).view(torch.int32)) << 32


def query_gallery_recall(
    query: Embeddings,
    query_labels: Labels,
    gallery: Embeddings,
    gallery_labels: Labels,
    k: Iterable[int] = (1, 2, 4, 8),
    *,
    own: Labels | None = None,
    device: Device = None,
    block_size: int | None = None,
) -> dict[int, float]:
    """Return the share of queries with an image of their class among their k nearest of a gallery.

    Exact: float64 products, a block of them at a time. Among equally near images the lowest gallery
    index comes first. A query whose class is not in the gallery always misses. A k beyond the
    gallery means the whole gallery.

    Args:
        query: [Q, D] NumPy array or tensor, any real type, rows of any length but 0.
        query_labels: [Q] integers.
        gallery: [G, D].
        gallery_labels: [G] integers, named as those of the queries.
        k: numbers of neighbours, each >= 1.
        own: [Q] the gallery row that is the query's own image and so is left out; -1 for none.
            By default the sets are taken to share no image.
        device: where to compute; by default where the queries are. Results are the same.
        block_size: side of a block of pairs; memory is O((Q + G) D + block_size^2).

    Raises:
        UserError: unusable embeddings or labels, or a k below 1.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics import query_gallery_recall
        >>> query, gallery = np.array([[1.0, 0.1]]), np.array([[1.0, 0.0], [1.0, 0.5]])
        >>> query_gallery_recall(query, np.array([7]), gallery, np.array([3, 7]), k=(1, 2))
        {1: 0.0, 2: 1.0}
    """
    wanted = checked_ks(k)
    sides = two_sides(query, query_labels, gallery, gallery_labels, own, device, block_size)
    ahead = torch.cat([_ahead(sides, block) for block in sides.query_blocks()])
    return {number: int((ahead < number).sum()) / len(ahead) for number in wanted}


def _ahead(sides: TwoSides, queries: slice) -> Tensor:
    """Count [q] the images before each query's best positive; the largest integer if it has none.

    Rows are in class order, so the positives of a few queries lie in one span of the gallery.
    """
    never = torch.iinfo(torch.int64).max
    best = torch.full_like(sides.class_of[queries], never)
    for columns, keys in _keys(sides, queries, sides.span(queries)):
        differ = sides.class_of[queries, None] != sides.class_of[None, columns]
        best = torch.minimum(best, keys.masked_fill_(differ, never).amin(1))
    ahead = torch.zeros_like(best)
    for _, keys in _keys(sides, queries, sides.gallery):
        ahead += (keys < best[:, None]).sum(1)
    return ahead.masked_fill_(best >= _INFINITE, never)


def _keys(sides: TwoSides, queries: slice, span: slice) -> Iterator[tuple[slice, Tensor]]:
    for columns in sides.blocks(span):
        squared = squared_distances(sides.rows, queries, columns)
        squared.masked_fill_(sides.is_own(queries, columns), torch.inf)
        yield columns, distance_keys(squared, sides.source[None, columns])


def nearest_in_gallery(sides: TwoSides, queries: Iterable[int], count: int) -> Tensor:
    """Return [q, count] the positions, in class order, of the nearest gallery rows, nearest first.

    Args:
        sides: the two sets.
        queries: positions of some queries, in class order.
        count: neighbours wanted, at most the gallery without the query's own image.
    """
    some = torch.tensor(list(queries), device=sides.class_of.device)
    found = sides.source.new_empty(len(some), 0)
    for columns in sides.blocks(sides.gallery):
        squared = squared_distances(sides.rows, some, columns)
        squared.masked_fill_(sides.is_own(some, columns), torch.inf)
        place = torch.arange(columns.start, columns.stop, device=squared.device)
        found = torch.cat([found, distance_keys(squared, place[None])], dim=1)
        found = found.topk(min(count, found.shape[1]), largest=False).values
    return found & 0xFFFFFFFF
