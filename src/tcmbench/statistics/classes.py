"""Intervals from one seed: the test classes are resampled, base and tcm together."""

from collections.abc import Callable

import numpy as np

from tcmbench.statistics.draws import draws
from tcmbench.statistics.estimates import Array, Curves, Estimate, share

RESAMPLES = 5_000
# With fewer classes the standard error is itself too uncertain to scale by.
MIN_CLASSES = 10

Interval = tuple[float, float]


def opis_intervals(
    base: Array,
    tcm: Array,
    epsilon: float = 0.1,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return bootstrap-t intervals of the changes of OPIS and ε-OPIS, tcm minus base.

    Classes are drawn with replacement, the same ones from both arguments. The calibration ranges
    and each class's curve stay as measured: the interval answers how the change would differ on
    other classes of the same kind, not how it would after another training.

    Args:
        base: [T, K] utility of each class at K equally spaced thresholds of its calibration range.
        tcm: [T, K] the same classes, in the same order.
        epsilon: share of classes that ε-OPIS takes as the worst.
        resamples: number of draws.
        level: probability that an interval is built to cover.

    Returns:
        `opis_delta` and `epsilon_opis_delta` in utility², and `opis_delta_percent`, relative to
        base and built on the logarithm of the ratio.
    """
    without, added = Curves(base, epsilon), Curves(tcm, epsilon)

    def changes(counts: Array) -> dict[str, Estimate]:
        base, tcm = without.drawn(counts), added.drawn(counts)
        before, after = base.opis(), tcm.opis()
        return {
            "opis_delta": after - before,
            "opis_delta_percent": after.log() - before.log(),
            "epsilon_opis_delta": tcm.epsilon_opis() - base.epsilon_opis(),
        }

    intervals = bootstrap_t(changes, len(base), resamples, level)
    low, high = intervals["opis_delta_percent"]
    intervals["opis_delta_percent"] = (100 * float(np.expm1(low)), 100 * float(np.expm1(high)))
    return intervals


def recall_interval(
    images: Array, base: Array, tcm: Array, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """Return the bootstrap-t interval of the change of R@1 over images, tcm minus base.

    Args:
        images: [C] number of test images of each class.
        base: [C] share of the class's images whose nearest neighbour is of the class.
        tcm: [C] the same classes, in the same order.
        resamples: number of draws.
        level: probability that the interval is built to cover.
    """
    hits = images * (tcm - base)
    intervals = bootstrap_t(
        lambda counts: {"delta": share(counts, hits, images)}, len(images), resamples, level
    )
    return intervals["delta"]


def bootstrap_t(
    estimate: Callable[[Array], dict[str, Estimate]], classes: int, resamples: int, level: float
) -> dict[str, Interval]:
    """Return studentized bootstrap intervals (Efron and Tibshirani 1993, section 12.5).

    [θ − q(1 − α/2) s, θ − q(α/2) s], where q are quantiles of (θ* − θ) / s* over the resamples.
    Simulated coverage chose it over the percentile and BCa intervals, which are too short for a
    variance over few classes (`tests/benchmarks/interval_coverage.py`).

    Args:
        estimate: from counts [R, T] to named estimates.
        classes: T.
        resamples: number of draws.
        level: probability that an interval is built to cover.

    Returns:
        NaN bounds for fewer than `MIN_CLASSES` classes, or an estimate that is not finite.
    """
    ones = np.ones((1, classes))
    measured = {
        name: (float(one.value[0]), float(one.standard_error(ones)[0]))
        for name, one in estimate(ones).items()
    }
    if classes < MIN_CLASSES:
        return dict.fromkeys(measured, (np.nan, np.nan))
    drawn: dict[str, list[Array]] = {name: [] for name in measured}
    for counts in draws(classes, resamples):
        for name, one in estimate(counts).items():
            with np.errstate(divide="ignore", invalid="ignore"):
                studentized = (one.value - measured[name][0]) / one.standard_error(counts)
            drawn[name].append(studentized)
    return {
        name: _interval(*measured[name], np.concatenate(drawn[name]), level) for name in measured
    }


def _interval(value: float, error: float, studentized: Array, level: float) -> Interval:
    if not np.isfinite([value, error]).all():
        return np.nan, np.nan
    if error == 0:
        return value, value
    known = studentized[~np.isnan(studentized)]
    low, high = np.quantile(known, [0.5 + level / 2, 0.5 - level / 2])
    return value - float(low) * error, value - float(high) * error
