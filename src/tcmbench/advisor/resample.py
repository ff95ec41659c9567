"""How sure the threshold and its error rates are, were other classes of the same kind drawn."""

from typing import TypeAlias

import numpy as np

from tcmbench.advisor.rates import Array, Rates
from tcmbench.statistics import MIN_CLASSES
from tcmbench.statistics.draws import draws

RESAMPLES = 2000
Interval: TypeAlias = tuple[float, float]


def intervals(
    rates: Rates, far: float | None, frr: float | None, level: float = 0.95
) -> dict[str, Interval]:
    """Return percentile intervals of `threshold` and, at the threshold found, of `far` and `frr`.

    Groups of classes (single classes, up to 2,000 of them) are drawn with replacement. A false
    reject belongs to one group, so a draw with counts c has the rate Σ c_g r_g / Σ c_g p_g. A false
    accept joins two, and has Σ c_g c_h a_gh / Σ c_g c_h m_gh; drawing one end alone would halve the
    scatter. For the threshold of a false accept rate, the curve of all pairs is scaled to the
    drawn rate at the threshold found.

    Args:
        rates: around the threshold.
        far: the rate that was asked for, or None.
        frr: the other one.
        level: probability that an interval is built to cover.

    Returns:
        NaN bounds for fewer than `MIN_CLASSES` classes.
    """
    if len(rates.classes) < MIN_CLASSES:
        return dict.fromkeys(("threshold", "far", "frr"), (np.nan, np.nan))
    rejected = rates.by_group(np.nan_to_num(rates.frr) * rates.positives[:, None])
    positives = rates.by_group(rates.positives[:, None])
    found: dict[str, list[Array]] = {"threshold": [], "far": [], "frr": []}
    for counts in draws(len(positives), RESAMPLES):
        drawn_far = _pairs(counts, rates.accepted) / _pairs(counts, rates.between)
        # No draw of ten classes has no pair of one class unless hardly any class has two images.
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn_frr = counts @ rejected / (counts @ positives)
        found["far"].append(drawn_far)
        found["frr"].append(drawn_frr[:, rates.target])
        if far is not None:
            curve = rates.overall_far / (rates.overall_far[rates.target] or np.nan)
            drawn = np.nan_to_num(drawn_far[:, None] * curve)
            found["threshold"].append(_crossing(rates.thresholds, drawn, far))
        else:
            kept = 1 - drawn_frr[~np.isnan(drawn_frr).any(axis=1)]
            found["threshold"].append(_crossing(rates.thresholds, kept, 1 - (frr or 0.0)))
    ends = (0.5 - level / 2, 0.5 + level / 2)
    return {name: _quantiles(np.concatenate(values), ends) for name, values in found.items()}


def _pairs(counts: Array, table: Array) -> Array:
    """Return [R] Σ c_g c_h t_gh over g ≠ h, plus Σ c_g t_gg: pairs inside a group come with it."""
    within = np.diagonal(table)
    across = table - np.diag(within)
    total: Array = np.einsum("rg,rg->r", counts @ across, counts) + counts @ within
    return total


def _crossing(thresholds: Array, rates: Array, wanted: float) -> Array:
    """Return [R] where rising rates [R, K] reach `wanted`, between two thresholds on their line.

    A resample that crosses outside the thresholds counts at the nearer end.
    """
    rising = np.maximum.accumulate(rates, axis=1)
    last = len(thresholds) - 1
    above = np.minimum((rising < wanted).sum(axis=1), last)
    below = np.maximum(above - 1, 0)
    rows = np.arange(len(rising))
    low, high = rising[rows, below], rising[rows, above]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.clip((wanted - low) / (high - low), 0, 1)
    part = np.where(high > low, part, 1.0)
    crossing: Array = thresholds[below] + part * (thresholds[above] - thresholds[below])
    return crossing


def _quantiles(values: Array, ends: tuple[float, float]) -> Interval:
    low, high = np.nanquantile(values, ends)
    return float(low), float(high)
