"""The claim that TCM costs no computation: how long a step takes with it and without."""

import math
from typing import TYPE_CHECKING

from tcmbench.claims.claim import Claim, Finding
from tcmbench.statistics import paired_t_interval

if TYPE_CHECKING:
    import pandas as pd

# "No cost" can only be shown up to a margin; two in a hundred is less than runs of one network
# differ on a shared machine.
MARGIN = 1.02
COST = Claim(
    "no-added-cost",
    f"TCM adds no computational cost (read as: a training step takes at most "
    f"{100 * (MARGIN - 1):.0f} % longer).",
    MARGIN,
    False,
    "ratio",
    {"value": 1.0, "unit": "ratio"},
)
KEYS = ["dataset", "backbone", "loss", "seed"]


def finding(runs: "pd.DataFrame") -> tuple[Claim, Finding]:
    """Measure the time of a step with TCM over that without, from images per second.

    Each pair shares dataset, backbone, loss, seed and hardware (GPU and CPU by name). Geometric
    mean over comparisons, with the t-interval of its logarithm.

    Args:
        runs: a `runs_frame`.
    """
    import numpy as np

    base, tcm = (
        runs[(runs["variant"] == variant) & (runs["images_per_second"] > 0)]
        for variant in ("base", "tcm")
    )
    pairs = base.merge(tcm, on=KEYS, suffixes=("_base", "_tcm"))
    for part in ("gpu", "cpu"):
        pairs = pairs[pairs[f"{part}_base"].fillna("") == pairs[f"{part}_tcm"].fillna("")]
    if pairs.empty:
        return COST, Finding()
    pairs = pairs.assign(
        ratio=np.log(pairs["images_per_second_base"] / pairs["images_per_second_tcm"])
    )
    logs = pairs.groupby(KEYS[:-1], sort=False)["ratio"].mean().to_list()
    ends = paired_t_interval(logs) if len(logs) > 1 else (math.nan, math.nan)
    detail = (
        f"single comparisons from {math.exp(min(logs)):.3f} to {math.exp(max(logs)):.3f}; whole "
        "training with its reading of images"
    )
    low, high = (math.exp(end) for end in ends)
    return COST, Finding(math.exp(sum(logs) / len(logs)), low, high, len(logs), detail)
