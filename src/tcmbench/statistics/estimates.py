"""Estimates from counted classes, each with its influence function, for many resamples at once.

The influence of a class is the derivative of an estimate with respect to the class's weight, and
the root of its mean square over √T the standard error (the infinitesimal jackknife; Efron 1982,
The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
_TRACE = 1e-15


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate of each resample, `value` [R], and the influence of each class on it [R, T]."""

    value: Array
    influence: Array

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.influence - other.influence)

    def log(self) -> "Estimate":
        """Return the estimate of the logarithm; −∞ where the value is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Estimate(np.log(self.value), self.influence * (1 / self.value)[:, None])

    def standard_error(self, counts: Array) -> Array:
        """Return [R] the standard error when class t was drawn counts[:, t] times [R, T]."""
        classes = counts.sum(axis=1)
        # An infinite influence, of the logarithm of 0, has no error.
        with np.errstate(invalid="ignore"):
            weighted = counts * self.influence
            mean = weighted.sum(axis=1) / classes
            square = np.vecdot(weighted, self.influence) / classes
            # Rounding can push a variance of nothing below zero.
            error: Array = np.sqrt(np.maximum(square - mean**2, 0) / classes)
        return error


def trapezoid(points: int) -> Array:
    """Return the weights [K] of the trapezoidal rule over equal steps, divided by the range."""
    weights = np.full(points, 1 / (points - 1))
    weights[[0, -1]] /= 2
    return weights


class Curves:
    """The utility of every class, from which OPIS and ε-OPIS of any resample follow.

    Args:
        utility: [T, K] at equally spaced thresholds.
        epsilon: share of the classes that counts as the worst.
    """

    def __init__(self, utility: Array, epsilon: float) -> None:
        self.epsilon = epsilon
        self.weights = trapezoid(utility.shape[1])
        # The last column is the mean square; with it, an influence is one product.
        self.columns = np.column_stack([utility, utility**2 @ self.weights])
        # Classes are ranked by their mean utility, with ties broken as in `metrics.opis`; the order
        # is the same in every resample, and only the cut between worst and rest moves.
        self.order = np.lexsort([*utility.T, utility @ self.weights])
        self.rank = self.order.argsort()

    def drawn(self, counts: Array) -> "Resamples":
        """Draw class t counts[:, t] times, [R, T]; every row has the same sum."""
        return Resamples(self, counts)


class Resamples:
    """The curves of drawn classes, added up once for both estimates."""

    def __init__(self, curves: Curves, counts: Array) -> None:
        self._curves, self._counts = curves, counts
        self._sums = counts @ curves.columns
        self._drawn = float(counts[0].sum())

    def opis(self) -> Estimate:
        """Estimate OPIS, the variance of utility over classes averaged over the range."""
        weights = self._curves.weights
        mean = self._sums / self._drawn
        value = mean[:, -1] - mean[:, :-1] ** 2 @ weights
        # Rounding leaves a trace of this size where all classes are alike.
        value = np.where(value > _TRACE, value, 0.0)
        return Estimate(value, self._along(-2 * mean[:, :-1] * weights, 1.0))

    def epsilon_opis(self) -> Estimate:
        """Estimate ε-OPIS; the max(1, round(ε T)) worst of the drawn classes are found anew."""
        drawn, curves = round(self._drawn), self._curves
        worst = max(1, round(curves.epsilon * drawn))
        if worst >= drawn:
            return Estimate(np.zeros(len(self._counts)), np.zeros_like(self._counts))
        low, cut = self._lowest(worst)
        gap = low / worst - (self._sums[:, :-1] - low) / (drawn - worst)
        along = self._along(2 * gap * curves.weights, 0.0)
        # The class that the cut falls on decides where it lies: a class counts by its distance
        # from that one.
        along -= np.take_along_axis(along, curves.order[cut], axis=1)
        along *= np.where(curves.rank <= cut, drawn / worst, -drawn / (drawn - worst))
        return Estimate(gap**2 @ curves.weights, along)

    def _along(self, slopes: Array, of_square: float) -> Array:
        """Follow every class [R, T] along slopes by utility [R, K] and by its mean square."""
        slopes = np.pad(slopes, [(0, 0), (0, 1)], constant_values=of_square)
        along: Array = slopes @ self._curves.columns.T
        return along

    def _lowest(self, worst: int) -> tuple[Array, NDArray[np.int64]]:
        """Add up the `worst` lowest of the drawn classes; return the sums and the last one's rank.

        Only about as many classes are looked at as that takes.

        Args:
            worst: number of draws in the sum.

        Returns:
            [R, K] and [R, 1].
        """
        looked_at = worst
        while True:
            chosen = self._curves.order[:looked_at]
            near = self._counts[:, chosen]
            reached = near.cumsum(axis=1)
            if (reached[:, -1] >= worst).all():
                break
            looked_at += max(8, looked_at // 8)
        before = reached - near
        low: Array = np.clip(worst - before, 0, near) @ self._curves.columns[chosen, :-1]
        return low, (before < worst).sum(axis=1, keepdims=True) - 1


def share(counts: Array, hits: Array, images: Array) -> Estimate:
    """Estimate the share of images that are hits, a ratio of two sums over classes.

    Args:
        counts: [R, T] how often each class was drawn.
        hits: [T] of each class; may be a difference of hits.
        images: [T] of each class.
    """
    total = counts @ images
    value = counts @ hits / total
    mean = (total / counts.sum(axis=1))[:, None]
    return Estimate(value, (hits - value[:, None] * images) / mean)
