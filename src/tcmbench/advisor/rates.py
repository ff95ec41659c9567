"""What the advisor takes from the metrics: the threshold of a rate, and error rates of classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.advisor.groups import accepted_between, group_of, pairs_between
from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.calibration import far_limit
from tcmbench.metrics.engine.counting import full_precision
from tcmbench.metrics.engine.inputs import Device, Embeddings, LabelledRows, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles, tile_side
from tcmbench.metrics.engine.plan import Calibration, Options
from tcmbench.metrics.engine.rates import count_ends, count_positives
from tcmbench.metrics.engine.sweep import sweep
from tcmbench.metrics.scoring import check_pairs

Array = NDArray[np.float64]
FARTHEST = 2.0
# How far below the first pair that would be too many a threshold stays: what float32 rounds a
# distance by, a few times.
SPARE, SPARE_SHARE = 5e-7, 1e-4


@dataclass(frozen=True, slots=True)
class Rates:
    """Error rates of C classes at K distances, ascending.

    Attributes:
        thresholds: [K] distances.
        target: index of the threshold that was asked for.
        classes: [C] labels, ascending, with classes of one image.
        sizes: [C] number of images.
        far: [C, K] share of the pairs with one image in the class that are accepted.
        frr: [C, K] share of the class's own pairs that are rejected; NaN for one image.
        groups: [C] group of each class; groups are what is resampled.
        accepted: [G, G] ordered pairs of different classes accepted at the target.
        between: [G, G] all such pairs.
    """

    thresholds: Array
    target: int
    classes: NDArray[Any]
    sizes: NDArray[np.int64]
    far: Array
    frr: Array
    groups: NDArray[np.int64]
    accepted: Array
    between: Array

    @property
    def overall_far(self) -> Array:
        """[K] false accept rate over all pairs."""
        rate: Array = self.negatives @ self.far / self.negatives.sum()
        return rate

    def by_group(self, values: Array) -> Array:
        """Add up values [C, K] over the classes of each group, [G, K]."""
        total = np.zeros((int(self.groups.max()) + 1, values.shape[1]))
        np.add.at(total, self.groups, values)
        return total

    @property
    def negatives(self) -> Array:
        """[C] pairs with exactly one image in the class."""
        pairs: Array = (self.sizes * (self.sizes.sum() - self.sizes)).astype(np.float64)
        return pairs

    @property
    def positives(self) -> Array:
        """[C] pairs within the class."""
        pairs: Array = (self.sizes * (self.sizes - 1) // 2).astype(np.float64)
        return pairs


def rates_around(
    embeddings: Embeddings,
    labels: Labels,
    far: float | None,
    frr: float | None,
    points: int = 201,
    device: Device = None,
) -> Rates:
    """Find the threshold of a false accept (or else reject) rate, and all rates around it.

    At the threshold the rate over all pairs is at most `far`, and the next pair beyond would lift
    it above; or it is the smallest distance at which the rate is at most `frr`, both exactly.
    The distances around it reach to where the rate is ten times as high, and twice as far on the
    other side.

    Raises:
        UserError: unusable embeddings or labels, a rate below that of one pair, or a `far` that no
            distance comes near, for too many pairs are equally far.
    """
    rows = prepare(embeddings, labels, device)
    check_pairs(rows)
    target, loose = _ends(rows, far, frr)
    if far is not None and target == loose:
        raise UserError(
            f"false accept rates from {far:g} to {_ten_times(far):g} are all reached at one "
            f"distance, {target:.6g}, where too many pairs are equally far: no threshold has the "
            "rate asked for; ask for a higher one, or look for images that were embedded alike"
        )
    beyond = float(np.clip(target + 2 * (target - loose), 0, FARTHEST))
    low, high = sorted((loose, beyond))
    grid = np.linspace(low, high, points)
    if far is not None:
        target = _within(rows, far)
    index = int(np.searchsorted(grid, target))
    return _rates(rows, np.insert(grid, index, target), index)


def rates_at(
    embeddings: Embeddings, labels: Labels, thresholds: Array, target: int, device: Device = None
) -> Rates:
    """Count all rates at distances that were chosen elsewhere.

    Args:
        embeddings: [N, D].
        labels: [N].
        thresholds: [K] distances, ascending.
        target: index of the one that is used.
        device: where to count.

    Raises:
        UserError: unusable embeddings or labels.
    """
    rows = prepare(embeddings, labels, device)
    check_pairs(rows)
    return _rates(rows, thresholds, target)


def _within(rows: LabelledRows, far: float) -> float:
    """Return a threshold of at most that false accept rate, also in arithmetic of less digits."""
    with full_precision():
        ends = far_limit(rows, far, PositiveTiles(rows), AllTiles(rows, tile_side(rows, None)))
    under, over = ends
    return min((under + over) / 2, over - min(SPARE, over * SPARE_SHARE))


def _ends(rows: LabelledRows, far: float | None, frr: float | None) -> tuple[float, float]:
    """Return the distances of the rate asked for and of one ten times as high."""
    rate = far if far is not None else frr or 0.0
    span = (rate, _ten_times(rate))
    far_range, frr_range = (span, None) if far is not None else ((0.0, 1.0), span)
    calibration = Calibration(far_range, frr_range, 2, lambda *_: True)
    found = sweep(rows, calibration, (), Options()).rates
    assert found is not None
    near, distant = float(found.thresholds[0]), float(found.thresholds[-1])
    return (near, distant) if far is not None else (distant, near)


def _ten_times(rate: float) -> float:
    return min(10 * rate, (1 + rate) / 2)


def _rates(rows: LabelledRows, thresholds: Array, target: int) -> Rates:
    side = tile_side(rows, None)
    sizes = rows.sizes[:, None]
    # Each pair of a class has both its ends there.
    positive_ends = 2 * count_positives(rows, thresholds, PositiveTiles(rows))
    negatives = count_ends(rows, thresholds, AllTiles(rows, side)) - positive_ends
    frr = 1 - positive_ends / np.maximum(sizes * (sizes - 1), 1)
    groups = group_of(len(rows.classes))
    return Rates(
        thresholds=thresholds,
        target=target,
        classes=rows.classes,
        sizes=rows.sizes,
        far=negatives / (sizes * (len(rows) - sizes)),
        frr=np.where(sizes < 2, np.nan, frr),
        groups=groups,
        accepted=accepted_between(rows, groups, float(thresholds[target])),
        between=pairs_between(rows.sizes, groups),
    )
