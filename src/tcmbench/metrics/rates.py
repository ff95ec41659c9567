"""Sensitivity and specificity of every class at given distances, from exact counts of pairs."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.inputs import LabelledRows
from tcmbench.metrics.pairs import Tile, all_pairs, positive_pairs


def error_rates(
    rows: LabelledRows, thresholds: NDArray[np.float64], side: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sensitivity and specificity [C, K] at ascending distances [K].

    A pair is accepted if its distance is <= the threshold. A class without positive pairs has
    sensitivity 0, one without negative pairs specificity 0.
    """
    # The ends of the range are roots of float32 squares, and this gives those squares back exactly:
    # the pair that an end was taken from is accepted there.
    cuts = torch.from_numpy((thresholds**2).astype(np.float32)).to(rows.unit.device)
    ends = _accepted_ends(all_pairs(rows, side), rows, cuts)
    # Both ends of a positive pair lie in its class; of a negative pair, one in each of two.
    positive_ends = _accepted_ends(positive_pairs(rows, side), rows, cuts)
    sizes = rows.sizes[:, None]
    negatives = sizes * (len(rows) - sizes)
    sensitivity = positive_ends / np.maximum(sizes * (sizes - 1), 1)
    specificity = (negatives - (ends - positive_ends)) / np.maximum(negatives, 1)
    return sensitivity, specificity


def _accepted_ends(tiles: Iterable[Tile], rows: LabelledRows, cuts: Tensor) -> NDArray[np.int64]:
    """Count [C, K] the ends, in each class, of the pairs with a squared distance <= each cut."""
    table = torch.zeros(len(rows.classes), len(cuts), dtype=torch.int64, device=cuts.device)
    for tile in tiles:
        squared = tile.squared.flatten()
        # Most pairs lie beyond the range and are dropped before the costly search.
        near = (squared <= cuts[-1]).nonzero().squeeze(1)
        first_cut = torch.searchsorted(cuts, squared[near])
        width = tile.squared.shape[1]
        _add(table, rows.class_of[tile.rows], near // width, first_cut)
        _add(table, rows.class_of[tile.cols], near % width, first_cut)
    return table.cumsum(1).cpu().numpy()


def _add(table: Tensor, class_of: Tensor, at: Tensor, first_cut: Tensor) -> None:
    """Add one to (class, first cut that accepts) for each end; a tile spans a run of classes."""
    low, high = int(class_of[0]), int(class_of[-1]) + 1
    cuts = table.shape[1]
    cells = (class_of[at] - low) * cuts + first_cut
    counts = torch.bincount(cells, minlength=(high - low) * cuts)
    table[low:high] += counts.view(high - low, cuts)
