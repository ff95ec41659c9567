"""Error rates of every class at given distances, from exact counts of pairs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.pairs import Tile

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of the T classes of two images or more, and of all pairs, at K distances.

    A pair is accepted if its distance is <= the threshold.

    Attributes:
        thresholds: [K] ascending distances.
        sensitivity: [T, K] share of the class's positive pairs accepted.
        specificity: [T, K] share of the class's negative pairs rejected, 0 where it has none.
        far: [K] share of all negative pairs accepted.
        frr: [K] share of all positive pairs rejected.
    """

    thresholds: Array
    sensitivity: Array
    specificity: Array
    far: Array
    frr: Array


def count_rates(
    rows: LabelledRows, thresholds: Array, positives: Iterable[Tile], pairs: Iterable[Tile]
) -> Rates:
    """Count at the thresholds, from tiles of all positive pairs and tiles of all pairs."""
    accepted = count_positives(rows, thresholds, positives)
    # Both ends of a positive pair lie in its class; of a negative pair, one in each of two.
    negatives = count_ends(rows, thresholds, pairs) - 2 * accepted
    return rates(rows, thresholds, accepted, negatives)


def count_positives(
    rows: LabelledRows, thresholds: Array, positives: Iterable[Tile]
) -> NDArray[np.int64]:
    """Count [C, K] the positive pairs of each class within each distance, exactly."""
    return _accepted(rows, thresholds, positives, both=False)


def count_ends(rows: LabelledRows, thresholds: Array, tiles: Iterable[Tile]) -> NDArray[np.int64]:
    """Count [C, K] the ends, in each class, of the pairs within each distance, exactly."""
    return _accepted(rows, thresholds, tiles, both=True)


def squared_cuts(rows: LabelledRows, thresholds: Array) -> Tensor:
    """Return the squares [K] that squared distances between these rows are compared with."""
    # The ends of the range are roots of float32 squares, and this gives those squares back exactly:
    # the pair that an end was taken from is accepted there.
    return torch.from_numpy((thresholds**2).astype(np.float32)).to(rows.unit.device)


def rates(
    rows: LabelledRows, thresholds: Array, positives: NDArray[np.int64], negatives: NDArray[Any]
) -> Rates:
    """Divide counts of accepted pairs [C, K] by what there is.

    `negatives` may have the classes of one image in one last row together: [T + 1, K].
    """
    kept = rows.sizes >= 2
    there = rows.negatives[kept, None]
    # A negative pair is counted for two classes.
    accepted = negatives[kept] if len(negatives) == len(kept) else negatives[:-1]
    return Rates(
        thresholds=thresholds,
        sensitivity=positives[kept] / rows.positives[kept, None],
        specificity=(there - accepted) / np.maximum(there, 1),
        far=negatives.sum(0) / max(int(rows.negatives.sum()), 1),
        frr=1 - positives.sum(0) / max(int(rows.positives.sum()), 1),
    )


def _accepted(
    rows: LabelledRows, thresholds: Array, tiles: Iterable[Tile], *, both: bool
) -> NDArray[np.int64]:
    """Count [C, K] the pairs within each distance for the class of one end, or of each."""
    cuts = squared_cuts(rows, thresholds)
    table = torch.zeros(len(rows.classes), len(cuts), dtype=torch.int64, device=cuts.device)
    for tile in tiles:
        squared = tile.squared.flatten()
        # Most pairs lie beyond the range and are dropped before the costly search.
        near = (squared <= cuts[-1]).nonzero().squeeze(1)
        first_cut = torch.searchsorted(cuts, squared[near])
        width = tile.squared.shape[1]
        _add(table, rows.class_of[tile.rows], near // width, first_cut)
        if both:
            _add(table, rows.class_of[tile.cols], near % width, first_cut)
    return table.cumsum(1).cpu().numpy()


def _add(table: Tensor, class_of: Tensor, at: Tensor, first_cut: Tensor) -> None:
    """Add one to (class, first cut that accepts) for each end; a tile spans a run of classes."""
    low, high = int(class_of[0]), int(class_of[-1]) + 1
    cuts = table.shape[1]
    cells = (class_of[at] - low) * cuts + first_cut
    counts = torch.bincount(cells, minlength=(high - low) * cuts)
    table[low:high] += counts.view(high - low, cuts)
