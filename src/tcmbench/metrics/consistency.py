"""OPIS and epsilon-OPIS: how much the best trade-off at one threshold differs between classes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.errors import UserError
from tcmbench.metrics.inputs import Device, Embeddings, LabelledRows, Labels, prepare
from tcmbench.metrics.plan import Calibration, Options, Sweep
from tcmbench.metrics.rates import Array, Rates
from tcmbench.metrics.sweep import sweep

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


def opis(
    embeddings: Embeddings,
    labels: Labels,
    far_range: tuple[float, float] = (1e-2, 1e-1),
    beta: float = 1.0,
    epsilon: float = 0.1,
    num_thresholds: int = 101,
    *,
    frr_range: tuple[float, float] | None = None,
    device: Device = None,
    block_size: int | None = None,
    exact: bool | None = None,
) -> OpisResult:
    """Measure the Operating-Point-Inconsistency Score (arXiv 2307.04047) over all pairs.

    Rows are L2-normalised; the distance is sqrt(2 - 2 cosine); a pair is accepted at threshold d if
    its distance is <= d. For class i, sensitivity is the share of within-class pairs accepted and
    specificity the share rejected of the pairs with exactly one image in i. Utility is
    (1 + beta^2) spec sens / (beta^2 spec + sens), and 0 where both are 0. The range ends are the
    smallest distances at which the false accept rate over all negative pairs reaches `far_range`,
    exactly. Averages over the range are trapezoidal integrals over `num_thresholds` distances
    divided by d_max - d_min; where both ends fall together, the value at that point.

    Classes of one image are left out, but their images are negatives of the others. epsilon-OPIS
    compares the max(1, round(epsilon T)) classes of lowest mean utility over the range (round half
    to even) with the rest, and is 0 where no class remains.

    Distances are right to 1e-6, mostly to 1e-7, whatever the tile, row order or device; `exact`
    ones have the same bits. To another program a pair this near a threshold may lie on its other
    side. Sensitivities are exact counts at the thresholds given back. Without `exact` a threshold
    divides a class's negative pairs within the width of a bin (1e-5 to 1e-4) evenly; scores are
    computed a second time from bins twice as wide, and wherever the two differ by more than 2e-6 of
    the score, or an end of the range lies among equal distances, pairs are counted as with `exact`.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        far_range: two false accept rates, 0 < low < high < 1.
        beta: weight of sensitivity against specificity, > 0.
        epsilon: share of the classes that counts as the worst, 0 < epsilon < 1.
        num_thresholds: K >= 2.
        frr_range: instead of `far_range`, two false reject rates over all positive pairs; d_max is
            the smallest distance with a rate <= low, d_min the smallest with a rate <= high.
        device: where to compute; by default where the embeddings are. Results are the same.
        block_size: side of a tile of pairs; memory is O(N D + block_size^2). Results are the same.
        exact: float64 products in several passes (True), or one float32 pass wherever that is sure
            (False). By default exact below 2,048 images.

    Returns:
        An `OpisResult`.

    Raises:
        UserError: unusable embeddings or labels, fewer than two classes, no class of two images,
            or an option out of its range.

    Example:
        Eight images of three classes, given as angles. Class 7 is tight, class 9 wide.

        >>> import numpy as np
        >>> from tcmbench.metrics import opis
        >>> angle = np.radians([0, 4, 8, 30, 60, 90, 180, 184])
        >>> embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> result = opis(embeddings, np.array([7, 7, 7, 9, 9, 9, 5, 5]), far_range=(0.1, 0.2))
        >>> result.classes
        array([5, 7, 9])
        >>> print(f"{result.opis:.6f} in [{result.d_min:.4f}, {result.d_max:.4f}]")
        0.012937 in [0.5176, 0.9389]
    """
    scoring = Scoring(far_range, beta, epsilon, num_thresholds, frr_range)
    rows = scoring.checked(prepare(embeddings, labels, device))
    found = sweep(rows, scoring.calibration(), (), Options(block_size, exact))
    return scoring.result(rows, found)


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
        """Return the rows; raise `UserError` where they have no positive or no negative pair."""
        _check_pairs(rows)
        return rows

    def calibration(self) -> Calibration:
        """Return where error rates are to be read."""
        return Calibration(self.far_range, self.frr_range, self.num_thresholds, self._agree)

    def result(self, rows: LabelledRows, found: Sweep) -> OpisResult:
        """Score the rates of a sweep that had this calibration."""
        rates = found.rates
        assert rates is not None
        consistency, worst = self._scores(rates)
        kept = rows.sizes >= 2
        return OpisResult(
            opis=consistency,
            epsilon_opis=worst,
            d_min=float(rates.thresholds[0]),
            d_max=float(rates.thresholds[-1]),
            thresholds=rates.thresholds,
            utility=_utility(rates.sensitivity, rates.specificity, self.beta),
            sensitivity=rates.sensitivity,
            specificity=rates.specificity,
            far=rates.far,
            frr=rates.frr,
            classes=rows.classes[kept],
            num_images=len(rows),
            num_classes=len(rows.classes),
            num_excluded_classes=int((~kept).sum()),
        )

    def _agree(self, fine: Rates, coarse: Rates) -> bool:
        pairs = zip(self._scores(fine), self._scores(coarse), strict=True)
        return all(abs(one - other) <= _AGREE * one + 1e-13 for one, other in pairs)

    def _scores(self, rates: Rates) -> tuple[float, float]:
        return _scores(_utility(rates.sensitivity, rates.specificity, self.beta), self.epsilon)


def _check_options(beta: float, epsilon: float, num_thresholds: int) -> None:
    if not 0 < beta < math.inf:
        raise UserError(f"beta is {beta:g}; give a positive number")
    if not 0 < epsilon < 1:
        raise UserError(f"epsilon is {epsilon:g}; give a share of the classes between 0 and 1")
    if num_thresholds < 2:
        raise UserError(f"num_thresholds is {num_thresholds}; both ends of the range need one")


def _check_pairs(rows: LabelledRows) -> None:
    if len(rows.classes) < 2:
        raise UserError(
            f"all images have the label {rows.classes[0]}, so there are no negative pairs; "
            "OPIS needs two classes"
        )
    if rows.sizes.max() < 2:
        raise UserError("no class has two images, so there are no positive pairs; OPIS needs some")


def _utility(sensitivity: Array, specificity: Array, beta: float) -> Array:
    weighted = beta**2 * specificity + sensitivity
    product = (1 + beta**2) * specificity * sensitivity
    return np.divide(product, weighted, out=np.zeros_like(product), where=weighted > 0)


def _scores(utility: Array, epsilon: float) -> tuple[float, float]:
    """Return OPIS and epsilon-OPIS of utilities [T, K]."""
    classes, thresholds = utility.shape
    # The trapezoidal rule over equal steps, divided by the range: a step of 0 needs no own case.
    weights = np.full(thresholds, 1 / (thresholds - 1))
    weights[[0, -1]] /= 2
    variance = ((utility - utility.mean(axis=0)) ** 2).mean(axis=0)
    worst = max(1, round(epsilon * classes))
    if worst >= classes:
        return float(weights @ variance), 0.0
    # Classes of equal mean are ranked by their curve, so that the order of labels cannot matter.
    ranked = utility[np.lexsort([*utility.T, (utility * weights).sum(axis=1)])]
    gap = ranked[:worst].mean(axis=0) - ranked[worst:].mean(axis=0)
    return float(weights @ variance), float(weights @ gap**2)
