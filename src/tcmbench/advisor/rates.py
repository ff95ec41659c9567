"""What the advisor takes from the metrics: the threshold of a rate, and error rates of classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.advisor.groups import accepted_between, group_of, pairs_between
from tcmbench.metrics import opis
from tcmbench.metrics.engine.inputs import Device, Embeddings, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles, tile_side
from tcmbench.metrics.engine.rates import count_within

Array = NDArray[np.float64]
FARTHEST = 2.0


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

    The threshold is the smallest distance at which the rate over all pairs is >= `far` (<= `frr`),
    exactly. The distances around it reach to where the rate is ten times as high, and twice as far
    on the other side.

    Raises:
        UserError: as `opis`.
    """
    rate = far if far is not None else frr or 0.0
    span = (rate, min(10 * rate, (1 + rate) / 2))
    if far is not None:
        ends = opis(embeddings, labels, far_range=span, num_thresholds=2, device=device)
        target, loose = ends.d_min, ends.d_max
    else:
        ends = opis(embeddings, labels, frr_range=span, num_thresholds=2, device=device)
        target, loose = ends.d_max, ends.d_min
    beyond = float(np.clip(target + 2 * (target - loose), 0, FARTHEST))
    low, high = sorted((loose, beyond))
    grid = np.linspace(low, high, points)
    index = int(np.searchsorted(grid, target))
    thresholds = np.insert(grid, index, target)
    return _rates(embeddings, labels, thresholds, index, device)


def _rates(
    embeddings: Embeddings, labels: Labels, thresholds: Array, target: int, device: Device
) -> Rates:
    rows = prepare(embeddings, labels, device)
    side = tile_side(rows, None)
    sizes = rows.sizes[:, None]
    # Each pair of a class has both its ends there.
    positive_ends = count_within(rows, thresholds, PositiveTiles(rows))
    negatives = count_within(rows, thresholds, AllTiles(rows, side)) - positive_ends
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
