"""The interval of each change: over seeds where there are several, over test classes else."""

import math
from collections.abc import Sequence

from tcmbench.statistics import opis_intervals, paired_t_interval, recall_interval
from tcmbench.tables.pairing import Comparison
from tcmbench.tables.per_class import recalls, utilities
from tcmbench.tables.runs import MEASURED

OVER_SEEDS, OVER_CLASSES, NO_INTERVAL = "paired t", "class bootstrap", "no interval"
UNKNOWN = (math.nan, math.nan)

Interval = tuple[float, float]


def intervals(comparison: Comparison) -> tuple[dict[str, Interval], str]:
    """Return the 95 % interval of each change, and which kind they are.

    Returns:
        Intervals of `recall_at_1_delta`, `opis_delta`, `opis_delta_percent` and
        `epsilon_opis_delta`, NaN where nothing is known; and `paired t`, `class bootstrap` or
        `no interval`.

    Raises:
        UserError: as `utilities` and `recalls`.
    """
    if len(comparison.pairs) > 1:
        return _over_seeds(comparison), OVER_SEEDS
    found = {f"{metric}_delta": UNKNOWN for metric in MEASURED} | {"opis_delta_percent": UNKNOWN}
    (pair,) = comparison.pairs
    curves, of_classes = utilities(pair), recalls(pair)
    if curves is not None:
        found |= opis_intervals(*curves, epsilon=float(pair[0].metrics["epsilon"]))
    if of_classes is not None:
        found["recall_at_1_delta"] = recall_interval(*of_classes)
    known = any(not math.isnan(low) for low, _ in found.values())
    return found, OVER_CLASSES if known else NO_INTERVAL


def _over_seeds(comparison: Comparison) -> dict[str, Interval]:
    found = {}
    for metric in MEASURED:
        base, tcm = (
            [float(run.metrics[metric]) for run in side]
            for side in zip(*comparison.pairs, strict=True)
        )
        changes = [after - before for before, after in zip(base, tcm, strict=True)]
        found[f"{metric}_delta"] = paired_t_interval(changes)
        if metric == "opis":
            found["opis_delta_percent"] = _relative(base, changes)
    return found


def _relative(base: Sequence[float], changes: Sequence[float]) -> Interval:
    """Return the interval of Σ changes / Σ base in %, from the residuals of that ratio."""
    mean = sum(base) / len(base)
    if not mean:
        return UNKNOWN
    ratio = sum(changes) / sum(base)
    return paired_t_interval(
        [
            100 * (ratio + (change - ratio * before) / mean)
            for before, change in zip(base, changes, strict=True)
        ]
    )
