"""Error rates of queries against a separate gallery, at given thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.cosines import checked_distances, distance_to_cosine
from tcmbench.metrics.engine.inputs import Device, Embeddings
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.pairs import squared_distances
from tcmbench.metrics.search.sides import TwoSides, two_sides


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """What `query_gallery_error_rates` found at K thresholds.

    Attributes:
        thresholds: [K] distances, as given.
        cosines: [K] the same thresholds as cosines, 1 - d^2 / 2.
        far: [K] share of negative pairs (query and gallery image of two classes) accepted.
        frr: [K] share of positive pairs (of one class) rejected.
        num_positives: number of positive pairs.
        num_negatives: number of negative pairs.
    """

    thresholds: NDArray[np.float64]
    cosines: NDArray[np.float64]
    far: NDArray[np.float64]
    frr: NDArray[np.float64]
    num_positives: int
    num_negatives: int


def query_gallery_error_rates(
    query: Embeddings,
    query_labels: Labels,
    gallery: Embeddings,
    gallery_labels: Labels,
    thresholds: Any,
    *,
    own: Labels | None = None,
    device: Device = None,
    block_size: int | None = None,
) -> ErrorRates:
    """Count false accepts and false rejects over all pairs of a query and a gallery image.

    A pair is accepted at threshold d if its distance, sqrt(2 - 2 cosine), is <= d. Exact, in blocks
    of float64 products. Without a positive (a negative) pair, the FRR (the FAR) is 0.

    Args:
        query: as in `query_gallery_recall`, like the arguments not named here.
        query_labels: [Q] integers.
        gallery: [G, D].
        gallery_labels: [G] integers.
        thresholds: [K] distances, in any order; for cosines, pass `cosine_to_distance(cosines)`.
        own: [Q] the gallery row that is the query's own image: no pair; -1 for none.
        device: where to compute.
        block_size: side of a block of pairs.

    Raises:
        UserError: unusable embeddings, labels or thresholds.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics import query_gallery_error_rates
        >>> query, gallery = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.6, 0.8]])
        >>> rates = query_gallery_error_rates(
        ...     query, np.array([7]), gallery, np.array([3, 7]), thresholds=[0.5, 1.0]
        ... )
        >>> rates.far, rates.frr, rates.cosines
        (array([1., 1.]), array([1., 0.]), array([0.875, 0.5  ]))
    """
    distances = checked_distances(thresholds)
    sides = two_sides(query, query_labels, gallery, gallery_labels, own, device, block_size)
    order = distances.argsort()
    cuts = torch.from_numpy((distances[order] ** 2).astype(np.float32)).to(sides.class_of.device)
    table = torch.zeros(2, len(cuts) + 1, dtype=torch.int64, device=cuts.device)
    for queries in sides.query_blocks():
        for columns in sides.blocks(sides.gallery):
            table += _first_cuts(sides, queries, columns, cuts)
    accepted = np.empty((2, len(distances)), np.int64)
    accepted[:, order] = table[:, :-1].cumsum(1).cpu().numpy()
    negatives, positives = sides.pair_counts()
    return ErrorRates(
        thresholds=distances,
        cosines=distance_to_cosine(distances),
        far=accepted[0] / max(negatives, 1),
        frr=(positives - accepted[1]) / max(positives, 1),
        num_positives=positives,
        num_negatives=negatives,
    )


def _first_cuts(sides: TwoSides, queries: slice, columns: slice, cuts: Tensor) -> Tensor:
    """Count [2, K + 1] negative and positive pairs by the first threshold that accepts them."""
    squared = squared_distances(sides.rows, queries, columns)
    squared.masked_fill_(sides.is_own(queries, columns), torch.inf)
    same = sides.class_of[queries, None] == sides.class_of[None, columns]
    bins = len(cuts) + 1
    cells = torch.searchsorted(cuts, squared).add_(same.long(), alpha=bins)
    return torch.bincount(cells.flatten(), minlength=2 * bins).view(2, bins)
