"""Tidy tables: one row a run, one row a comparison."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.statistics import paired_t_interval
from tcmbench.tables.runs import MEASURED, Comparison, MeasuredRun

if TYPE_CHECKING:
    import pandas as pd

OF_METRICS = (
    "recall_at_1",
    "map_at_r",
    "opis",
    "epsilon_opis",
    "d_min",
    "d_max",
    "num_images",
    "num_classes",
    "num_excluded_classes",
)
OF_RECORD = ("wall_time_s", "images_per_second", "peak_memory_mb", "num_parameters")


def runs_frame(runs: Sequence[MeasuredRun], suite: str) -> "pd.DataFrame":
    """Return one row a run: identity, measures, cost, code version and machine.

    Units: `recall_at_1` and `map_at_r` are shares, `d_*` L2 distances of unit vectors,
    `wall_time_s` seconds, `peak_memory_mb` MB. What a run did not record is an empty cell.
    """
    import pandas as pd

    return pd.DataFrame([_run_row(run, suite) for run in runs])


def comparisons_frame(comparisons: Sequence[Comparison], suite: str) -> "pd.DataFrame":
    """Return one row a comparison: means over seeds of base and tcm, and their difference.

    `<metric>_delta` is tcm minus base; `_delta_low` and `_delta_high` bound its 95 % paired
    t-interval over seeds and are empty with one seed. `opis_delta_percent` is relative to base.
    """
    import pandas as pd

    return pd.DataFrame([_comparison_row(comparison, suite) for comparison in comparisons])


def _run_row(measured: MeasuredRun, suite: str) -> dict[str, Any]:
    run, record = measured.run, measured.record
    git, hardware = record.get("git") or {}, record.get("hardware") or {}
    return {
        "dataset": run.dataset,
        "backbone": run.backbone,
        "loss": run.loss,
        "variant": run.variant,
        "seed": run.seed,
        **{key: measured.metrics.get(key) for key in OF_METRICS},
        **{key: record.get(key) for key in OF_RECORD},
        "git_commit": git.get("commit"),
        "git_dirty": git.get("dirty"),
        "gpu": hardware.get("gpu"),
        "cpu": hardware.get("cpu"),
        "suite": suite,
        "scale": measured.scale,
    }


def _comparison_row(comparison: Comparison, suite: str) -> dict[str, Any]:
    dataset, backbone, loss = comparison.cell
    row: dict[str, Any] = {
        "dataset": dataset,
        "backbone": backbone,
        "loss": loss,
        "n_seeds": len(comparison.pairs),
    }
    for metric in MEASURED:
        row |= _difference(metric, comparison)
    base, delta = row["opis_base"], row["opis_delta"]
    row["opis_delta_percent"] = 100 * delta / base if base else math.nan
    first = comparison.pairs[0][0]
    return row | {"epsilon": first.metrics["epsilon"], "suite": suite, "scale": first.scale}


def _difference(metric: str, comparison: Comparison) -> dict[str, float]:
    base = [float(pair[0].metrics[metric]) for pair in comparison.pairs]
    tcm = [float(pair[1].metrics[metric]) for pair in comparison.pairs]
    differences = [after - before for before, after in zip(base, tcm, strict=True)]
    interval = (math.nan, math.nan)
    if len(differences) > 1:
        interval = paired_t_interval(differences)
    return {
        f"{metric}_base": sum(base) / len(base),
        f"{metric}_tcm": sum(tcm) / len(tcm),
        f"{metric}_delta": sum(differences) / len(differences),
        f"{metric}_delta_low": interval[0],
        f"{metric}_delta_high": interval[1],
    }
