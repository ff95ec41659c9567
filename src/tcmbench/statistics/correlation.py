"""Do two measures fall together, and up to where: two lines, the break between them, and r."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

MIN_POINTS = 3


@dataclass(frozen=True)
class Side:
    """The points on one side of a break, x ascending.

    Attributes:
        count: number of points.
        x_range: lowest and highest x.
        slope: of the least-squares line, in units of y for one unit of x.
        intercept: of that line, in units of y.
        pearson: correlation coefficient; NaN where x or y does not vary.
        low: lower end of Fisher's 95 % interval of `pearson`; −1 for three points.
        high: upper end; 1 for three points.
        spearman: correlation of the ranks; NaN where x or y does not vary.
    """

    count: int
    x_range: tuple[float, float]
    slope: float
    intercept: float
    pearson: float
    low: float
    high: float
    spearman: float


@dataclass(frozen=True)
class Break:
    """Two lines instead of one.

    Attributes:
        at: x midway between the last point of `below` and the first of `above`.
        low: 2.5 % quantile of `at` over resamples of the points; `high` is the 97.5 % one.
        gain: BIC of one line minus BIC of the two with their break; above 0 the two fit better
            than their three further parameters would by chance.
        below: the side of smaller x.
        above: the side of larger x.
    """

    at: float
    low: float
    high: float
    gain: float
    below: Side
    above: Side


def side(x: "ArrayLike", y: "ArrayLike", level: float = 0.95) -> Side:
    """Fit one line to at least three points and correlate them.

    The interval of r is tanh(artanh r ± z / √(n − 3)) (R. A. Fisher 1921): it rests on points that
    are independent and about normal, which settings of one experiment need not be.

    Raises:
        ValueError: fewer than three points, or x and y of different length.
    """
    import numpy as np
    from scipy import stats

    order = np.argsort(np.asarray(x, dtype=np.float64), kind="stable")
    x, y = np.asarray(x, dtype=np.float64)[order], np.asarray(y, dtype=np.float64)[order]
    if len(x) < MIN_POINTS:
        raise ValueError(f"a correlation needs at least {MIN_POINTS} points, got {len(x)}")
    wide_x, wide_y = x - x.mean(), y - y.mean()
    slope = float(wide_x @ wide_y / (wide_x @ wide_x)) if np.ptp(x) else 0.0
    pearson = spearman = low = high = float("nan")
    if np.ptp(x) and np.ptp(y):
        pearson = float(np.clip(stats.pearsonr(x, y).statistic, -1, 1))
        spearman = float(stats.spearmanr(x, y).statistic)
        low, high = _fisher(pearson, len(x), level)
    return Side(
        count=len(x),
        x_range=(float(x[0]), float(x[-1])),
        slope=slope,
        intercept=float(y.mean() - slope * x.mean()),
        pearson=pearson,
        low=low,
        high=high,
        spearman=spearman,
    )


def find_break(
    x: "ArrayLike", y: "ArrayLike", resamples: int = 2000, seed: int = 0
) -> Break | None:
    """Split the points by x where two least-squares lines of y leave the smallest squared rest.

    Every split with at least three different x on each side is tried. The interval of the break
    repeats the search on resamples of the points. The correlations are those of the split found,
    and so look stronger than those of a split fixed beforehand.

    Args:
        x: [n], what orders the points, such as recognition error.
        y: [n], such as OPIS.
        resamples: bootstrap resamples of the points.
        seed: of the resampling.

    Returns:
        The break, or `None` where no split has three different x on each side.

    Raises:
        ValueError: x and y are not two finite sequences of one length.
    """
    import numpy as np

    points = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    if points.ndim != 2 or not np.isfinite(points).all():
        raise ValueError("x and y must be two finite sequences of one length")
    points = points[:, np.argsort(points[0], kind="stable")]
    if len(np.unique(points[0])) < 2 * MIN_POINTS:
        return None
    (rest,), (at,) = _best_splits(points[:, None])
    draws = np.random.default_rng(seed).integers(points.shape[1], size=(resamples, points.shape[1]))
    _, found = _best_splits(points[:, np.sort(draws, axis=1)])
    low, high = np.nanquantile(found, [0.025, 0.975]) if resamples else (at, at)
    left = points[0] < at
    return Break(
        at=float(at),
        low=float(low),
        high=float(high),
        gain=_bic_gain(points, float(rest)),
        below=side(*points[:, left]),
        above=side(*points[:, ~left]),
    )


def _fisher(pearson: float, count: int, level: float) -> tuple[float, float]:
    import numpy as np
    from scipy import stats

    if count == MIN_POINTS:
        return -1.0, 1.0
    with np.errstate(divide="ignore"):
        centre = np.arctanh(pearson)
    half = stats.norm.ppf(0.5 + level / 2) / (count - 3) ** 0.5
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def _best_splits(
    points: "NDArray[np.float64]",
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return the smallest squared rest [R] and the x of its split [R] of points [2, R, n].

    x ascends along the last axis; both are NaN where a resample has no split.
    """
    import numpy as np

    forward = _rests(points)[:, :-1]
    backward = _rests(points[:, :, ::-1])[:, -2::-1]
    steps = np.diff(points[0]) > 0
    before = 1 + np.cumsum(steps, axis=1) - steps
    after = 1 + steps.sum(1, keepdims=True) - before
    possible = steps & (before >= MIN_POINTS) & (after >= MIN_POINTS)
    total = np.where(possible, forward + backward, np.inf)
    best = total.argmin(axis=1)[:, None]
    middle = (points[0, :, 1:] + points[0, :, :-1]) / 2
    rest, at = (np.take_along_axis(found, best, 1)[:, 0] for found in (total, middle))
    found = np.isfinite(rest)
    return np.where(found, rest, np.nan), np.where(found, at, np.nan)


def _rests(points: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return [R, n] the squared rest of the least-squares line through each row's first points."""
    import numpy as np

    # Centred first: sums of squares of large numbers with small differences would cancel.
    x, y = points - points.mean(axis=2, keepdims=True)
    count = np.arange(1, x.shape[1] + 1)
    sum_x, sum_y = x.cumsum(1), y.cumsum(1)
    xx = (x * x).cumsum(1) - sum_x**2 / count
    xy = (x * y).cumsum(1) - sum_x * sum_y / count
    yy = (y * y).cumsum(1) - sum_y**2 / count
    # Rounding leaves a trace where all x are equal; a slope from it would be noise.
    flat = xx <= 1e-12 * (x * x).sum(1, keepdims=True)
    explained = np.where(flat, 0, xy**2 / np.where(flat, 1, xx))
    rests: NDArray[np.float64] = np.maximum(yy - explained, 0)
    return rests


def _bic_gain(points: "NDArray[np.float64]", rest: float) -> float:
    import numpy as np

    count = points.shape[1]
    one = float(_rests(points[:, None])[0, -1])
    # A perfect fit would have a likelihood without bound.
    floor = 1e-12 * float(np.square(points[1] - points[1].mean()).sum()) or 1.0
    better = count * np.log(max(one, floor) / max(rest, floor))
    return float(better - 3 * np.log(count))
