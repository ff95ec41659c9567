"""From counts to distances and rates: what one pass says, and how far it can be trusted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tcmbench.metrics.engine.brackets import CELL, CELLS, Bins
from tcmbench.metrics.engine.totals import Totals

_END_ERROR = 1e-6
_CROWDED = 4


class UnsureError(Exception):
    """The counts cannot give the promised accuracy; the exact path has to."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Negative pairs accepted [G, K] at each threshold, by group; the second from half the bins."""

    fine: NDArray[np.float64]
    coarse: NDArray[np.float64]


def range_ends(
    totals: Totals, bins: Bins, ranks: list[int], rounding: float
) -> tuple[float, float]:
    """Return the distances of the pairs of these ranks, nearest pair first (rank 1).

    Args:
        totals: the counts.
        bins: where they were counted.
        ranks: of the two ends.
        rounding: by how much the similarities counted may have moved an order statistic.

    Raises:
        UnsureError: an end is outside the fine ranges, too near 0, or among equal distances.
    """
    # Each pair is counted for two groups.
    per_bin = totals.by_group.sum(0, dtype=np.int64) // 2
    near, far = (_distance(totals.fine, per_bin, bins, rank) for rank in ranks)
    # The nearer one has the larger error.
    if near * _END_ERROR < CELL / 2 + rounding:
        raise UnsureError
    return near, far


def _distance(fine: NDArray[np.int64], per_bin: NDArray[np.int64], bins: Bins, rank: int) -> float:
    from_top = per_bin[::-1].cumsum()
    steps = int(np.searchsorted(from_top, rank))
    place = bins.count - 1 - steps
    if place < 0 or place == bins.count - 1 or bins.low <= place < bins.high:
        raise UnsureError
    begin = (place << bins.shift) - (bins.skipped_cells if place >= bins.high else 0)
    cells = fine[begin : begin + (1 << bins.shift)][::-1]
    inside = rank - int(from_top[steps - 1])
    down = int(np.searchsorted(cells.cumsum(), inside))
    _refuse_ties(cells, down, rank)
    cell = ((place + 1) << bins.shift) - 1 - down
    return math.sqrt(max(2 - 2 * (bins.edge + (cell + 0.5) * CELL), 0))


def _refuse_ties(cells: NDArray[np.int64], down: int, rank: int) -> None:
    # Equal distances are spread over a few cells by rounding, and the end must accept all of them.
    near = int(cells[max(down - 4, 0) : down + 5].sum())
    if near > 8 + rank * 2e-4:
        raise UnsureError


def accepted(totals: Totals, bins: Bins, thresholds: NDArray[np.float64]) -> Accepted:
    """Return how many negative pairs of each group lie within each distance [K].

    Within a bin they are taken to lie evenly. The coarse count does the same with bins of twice the
    width: the difference of the two bounds the error of the fine one.

    Raises:
        UnsureError: a threshold falls into a bin that is far fuller than those around it.
    """
    # In bins; the open bin's lower end is the highest place that can be read off.
    place = ((1 - thresholds**2 / 2) - bins.edge) * CELLS / (1 << bins.shift)
    place = np.clip(place, 0, bins.count - 1)
    _refuse_crowds(totals, place)
    return Accepted(*(_between(totals, place, width) for width in (1, 2)))


def _between(totals: Totals, place: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Interpolate counts above each place [G, K] between bin edges `width` apart."""
    closed = totals.by_group.shape[1] - 1
    below = np.minimum(place // width * width, closed - width).astype(int)
    edges, at = np.unique([below, below + width], return_inverse=True)
    # From one edge to the next, and from the last one up; no group has more than fit its type.
    between = np.add.reduceat(totals.by_group, edges, axis=1)
    above = between[:, ::-1].cumsum(1)[:, ::-1]
    low, high = at.reshape(2, -1)
    share = (place - below) / width
    found: NDArray[np.float64] = above[:, low] * (1 - share) + above[:, high] * share
    return found


def _refuse_crowds(totals: Totals, place: NDArray[np.float64]) -> None:
    per_bin = totals.by_group[:, :-1].sum(0, dtype=np.int64)
    reach = np.clip(place.astype(int)[:, None] + np.arange(-16, 17), 0, len(per_bin) - 1)
    around = per_bin[reach]
    # The place may lie on an edge: rounding then moves equal pairs to the bin beside.
    crowd = around[:, 15:18].max(1)
    if (crowd > _CROWDED * around.mean(1) + 8).any():
        raise UnsureError
