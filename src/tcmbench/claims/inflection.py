"""The claim that accuracy and consistency go together up to a point, and part beyond it."""

import math
from typing import TYPE_CHECKING

from tcmbench.claims.claim import Claim, Finding
from tcmbench.statistics.correlation import find_break

if TYPE_CHECKING:
    import pandas as pd

TOGETHER = Claim(
    "weaker-models-together",
    "Among weaker models, lower recognition error comes with lower OPIS (read as: a correlation "
    "above 0 beyond the inflection point).",
    0,
    True,
    "r",
    None,
)
APART = Claim(
    "stronger-models-apart",
    "Past an inflection point, lower recognition error comes with higher OPIS (read as: a "
    "correlation below 0 among the stronger models).",
    0,
    False,
    "r",
    None,
)
SETTING = ["dataset", "backbone", "loss", "batch_size"]


def findings(runs: "pd.DataFrame | None") -> list[tuple[Claim, Finding]]:
    """Correlate recognition error and OPIS on either side of the break between two lines.

    Of several datasets the one where the claim is least certain counts. Seeds are averaged.

    Args:
        runs: a `runs_frame` of the Pareto suite with `batch_size`, or None.
    """
    if runs is None:
        return [(TOGETHER, Finding()), (APART, Finding())]
    base = runs[runs["variant"] == "base"]
    points = base.groupby(SETTING, as_index=False)[["recall_at_1", "opis"]].mean()
    weak: list[Finding] = []
    strong: list[Finding] = []
    for dataset, group in points.groupby("dataset"):
        found = find_break(1 - group["recall_at_1"], group["opis"])
        if found is not None:
            detail = (
                f"{dataset}: break at an error of {100 * found.at:.1f} % [{100 * found.low:.1f}, "
                f"{100 * found.high:.1f}]"
            )
            for side, sides in ((found.above, weak), (found.below, strong)):
                sides.append(Finding(side.pearson, side.low, side.high, side.count, detail))
    return [
        (TOGETHER, min(weak, key=_low, default=Finding())),
        (APART, max(strong, key=_high, default=Finding())),
    ]


def _low(finding: Finding) -> float:
    return -math.inf if math.isnan(finding.low) else finding.low


def _high(finding: Finding) -> float:
    return math.inf if math.isnan(finding.high) else finding.high
