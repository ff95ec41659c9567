"""From error rates to OPIS and epsilon-OPIS."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.plan import Calibration, Sweep
from tcmbench.metrics.engine.rates import Array, Rates

# Scores from bins twice as wide differ by 1.4 times the error of the fine ones, or more.
_AGREE = 2e-6


@dataclass(frozen=True, slots=True)
class OpisResult:
    """What `opis` found; T classes with at least two images, K thresholds.

    Attributes:
        opis: mean over classes of the squared deviation from the mean utility, averaged over the
            calibration range; 0 is perfect consistency.
        epsilon_opis: the same average of (mean utility of the worst classes - of the rest)^2.
        d_min: lower end of the calibration range, a distance in [0, 2].
        d_max: upper end.
        thresholds: [K] distances, equally spaced from `d_min` to `d_max`.
        utility: [T, K] F-score of sensitivity and specificity.
        sensitivity: [T, K] share of the class's positive pairs accepted.
        specificity: [T, K] share of the class's negative pairs rejected.
        far: [K] share of all negative pairs accepted.
        frr: [K] share of all positive pairs rejected.
        classes: [T] labels, ascending.
        num_images: all images.
        num_classes: all classes, the excluded ones too.
        num_excluded_classes: classes of one image, which have no positive pair.
    """

    opis: float
    epsilon_opis: float
    d_min: float
    d_max: float
    thresholds: NDArray[np.float64]
    utility: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]
    far: NDArray[np.float64]
    frr: NDArray[np.float64]
    classes: NDArray[Any]
    num_images: int
    num_classes: int
    num_excluded_classes: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """The options of `opis` that say what is computed, and the way from rates to scores.

    Raises:
        UserError: an option out of its range.
    """

    far_range: tuple[float, float]
    beta: float
    epsilon: float
    num_thresholds: int
    frr_range: tuple[float, float] | None

    def __post_init__(self) -> None:
        _check_options(self.beta, self.epsilon, self.num_thresholds)

    def checked(self, rows: LabelledRows) -> LabelledRows:
        """Return the rows; raise `UserError` where OPIS of them would say nothing."""
        check_pairs(rows)
        scored = int((rows.sizes >= 2).sum())
        if scored < 2:
            raise UserError(
                f"only class {rows.classes[rows.sizes >= 2][0]} has two images; OPIS compares "
                "classes and needs two of them with two images each"
            )
        if _worst(self.epsilon, scored) >= scored:
            raise UserError(
                f"epsilon is {self.epsilon:g}, which takes all {scored} classes with two images as "
                "the worst and leaves none to compare with; give a smaller share"
            )
        return rows

    def calibration(self) -> Calibration:
        """Return where error rates are to be read."""
        return Calibration(self.far_range, self.frr_range, self.num_thresholds, self._agree)

    def result(self, rows: LabelledRows, found: Sweep) -> OpisResult:
        """Score the rates of a sweep that had this calibration."""
        rates = found.rates
        assert rates is not None
        self._check_width(rates)
        consistency, worst = self._scores(rates)
        kept = rows.sizes >= 2
        return OpisResult(
            opis=consistency,
            epsilon_opis=worst,
            d_min=float(rates.thresholds[0]),
            d_max=float(rates.thresholds[-1]),
            thresholds=rates.thresholds,
            utility=utility_of(rates.sensitivity, rates.specificity, self.beta),
            sensitivity=rates.sensitivity,
            specificity=rates.specificity,
            far=rates.far,
            frr=rates.frr,
            classes=rows.classes[kept],
            num_images=len(rows),
            num_classes=len(rows.classes),
            num_excluded_classes=int((~kept).sum()),
        )

    def _check_width(self, rates: Rates) -> None:
        if rates.thresholds[0] == rates.thresholds[-1]:
            name, ends = ("accept", self.far_range)
            if self.frr_range is not None:
                name, ends = ("reject", self.frr_range)
            raise UserError(
                f"false {name} rates from {ends[0]:g} to {ends[1]:g} are all reached at one "
                f"distance, {rates.thresholds[0]:.6g}: too many pairs are equally far, or too few "
                "images were measured; give rates further apart, or more images"
            )

    def _agree(self, fine: Rates, coarse: Rates) -> bool:
        pairs = zip(self._scores(fine), self._scores(coarse), strict=True)
        return all(abs(one - other) <= _AGREE * one + 1e-13 for one, other in pairs)

    def _scores(self, rates: Rates) -> tuple[float, float]:
        return _scores(utility_of(rates.sensitivity, rates.specificity, self.beta), self.epsilon)


def _check_options(beta: float, epsilon: float, num_thresholds: int) -> None:
    if not 0 < beta < math.inf:
        raise UserError(f"beta is {beta:g}; give a positive number")
    if not 0 < epsilon < 1:
        raise UserError(f"epsilon is {epsilon:g}; give a share of the classes between 0 and 1")
    if num_thresholds < 2:
        raise UserError(f"num_thresholds is {num_thresholds}; both ends of the range need one")


def check_pairs(rows: LabelledRows) -> None:
    """Raise `UserError` where rows have no positive or no negative pair."""
    if len(rows.classes) < 2:
        raise UserError(
            f"all images have the label {rows.classes[0]}, so there are no negative pairs; "
            "OPIS needs two classes"
        )
    if rows.sizes.max() < 2:
        raise UserError("no class has two images, so there are no positive pairs; OPIS needs some")


def utility_of(sensitivity: Array, specificity: Array, beta: float) -> Array:
    """Return the F-score [T, K] of two tables of rates, 0 where both are 0."""
    weighted = beta**2 * specificity + sensitivity
    product = (1 + beta**2) * specificity * sensitivity
    return np.divide(product, weighted, out=np.zeros_like(product), where=weighted > 0)


def _worst(epsilon: float, classes: int) -> int:
    """Return how many classes count as the worst."""
    return max(1, round(epsilon * classes))


def _scores(utility: Array, epsilon: float) -> tuple[float, float]:
    """Return OPIS and epsilon-OPIS of utilities [T, K]."""
    classes, thresholds = utility.shape
    # The trapezoidal rule over equal steps, divided by the range.
    weights = np.full(thresholds, 1 / (thresholds - 1))
    weights[[0, -1]] /= 2
    variance = ((utility - utility.mean(axis=0)) ** 2).mean(axis=0)
    worst = _worst(epsilon, classes)
    # Classes of equal mean are ranked by their curve, so that the order of labels cannot matter.
    ranked = utility[np.lexsort([*utility.T, (utility * weights).sum(axis=1)])]
    gap = ranked[:worst].mean(axis=0) - ranked[worst:].mean(axis=0)
    return float(weights @ variance), float(weights @ gap**2)
