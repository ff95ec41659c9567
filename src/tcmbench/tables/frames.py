"""Tidy tables: one row a run, one row a comparison."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.config.sweeps import REGULARIZER, leaf, parsed
from tcmbench.tables.earlier import Known, identity
from tcmbench.tables.intervals import intervals
from tcmbench.tables.names import said
from tcmbench.tables.pairing import Comparison
from tcmbench.tables.runs import MEASURED, MeasuredRun

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
# Of the configuration, by the section where it stands: what the suites vary.
OF_CONFIG = {
    "optimization": ("batch_size",),
    "regularizer": ("margin_positive", "margin_negative", "weight_positive", "weight_negative"),
}
OF_RECORD = ("wall_time_s", "images_per_second", "peak_memory_mb", "num_parameters", "precision")


def runs_frame(runs: Sequence[MeasuredRun], suite: str) -> "pd.DataFrame":
    """Return one row a run: identity, measures, cost, code version and machine.

    Units: `recall_at_1` and `map_at_r` are shares, `d_*` L2 distances of unit vectors,
    `wall_time_s` seconds, `peak_memory_mb` MB. What a run did not record is an empty cell. `loss`
    is without swept settings, which have columns of their own.
    """
    import pandas as pd

    swept = swept_settings(runs)
    return pd.DataFrame([_run_row(run, suite) | _values(run, swept) for run in runs])


def comparisons_frame(
    comparisons: Sequence[Comparison], suite: str, known: Known | None = None
) -> "pd.DataFrame":
    """Return one row a comparison: means over seeds of base and tcm, and their difference.

    `<metric>_delta` is tcm minus base and `opis_delta_percent` relative to base; `_low` and `_high`
    bound their 95 % interval, whose kind `interval` says: `paired t` over seeds, `class bootstrap`
    over the test classes with one seed. What the runs' files do not tell is empty. Where settings
    are swept, each has a column, and `setting` has them in words.

    Args:
        comparisons: one a row.
        suite: its name.
        known: intervals of an earlier table; those of the same measures are not made again.

    Raises:
        UserError: as `intervals`.
    """
    import pandas as pd

    swept = swept_settings([run for one in comparisons for pair in one.pairs for run in pair])
    rows = [_comparison_row(comparison, suite, swept, known or {}) for comparison in comparisons]
    return pd.DataFrame(rows)


def swept_settings(runs: Iterable[MeasuredRun]) -> list[str]:
    """Return the settings that any of the runs' folders name, with their sections, sorted."""
    return sorted({key for run in runs for key in parsed(run.run.loss)[1]})


def _values(measured: MeasuredRun, swept: Sequence[str]) -> dict[str, float | None]:
    """Return the values of swept settings as they were in a run, also where they are the usual."""
    config = measured.record.get("config") or {}
    point = parsed(measured.run.loss)[1]
    sections = [config.get(name) or {} for name in ("optimization", "model", "view")]
    known = {key: value for section in sections for key, value in section.items()}
    known |= {f"{REGULARIZER}{k}": v for k, v in (config.get("regularizer") or {}).items()}
    return {leaf(key): point.get(key, known.get(key)) for key in swept}


def _run_row(measured: MeasuredRun, suite: str) -> dict[str, Any]:
    run, record = measured.run, measured.record
    git, hardware = record.get("git") or {}, record.get("hardware") or {}
    config = record.get("config") or {}
    return {
        "dataset": measured.cell[0],
        **({"fold": measured.fold.number} if measured.fold else {}),
        "backbone": run.backbone,
        "loss": parsed(run.loss)[0],
        "variant": run.variant,
        "seed": run.seed,
        **{
            key: (config.get(section) or {}).get(key)
            for section, keys in OF_CONFIG.items()
            for key in keys
        },
        **{key: measured.metrics.get(key) for key in OF_METRICS},
        **{key: record.get(key) for key in OF_RECORD},
        "git_commit": git.get("commit"),
        "git_dirty": git.get("dirty"),
        "gpu": hardware.get("gpu"),
        "cpu": hardware.get("cpu"),
        "suite": suite,
        "scale": measured.scale,
    }


def _comparison_row(
    comparison: Comparison, suite: str, swept: Sequence[str], known: Known
) -> dict[str, Any]:
    dataset, backbone, loss = comparison.cell
    row: dict[str, Any] = {
        "dataset": dataset,
        "backbone": backbone,
        "loss": parsed(loss)[0],
        **_setting(comparison.pairs[0][1], swept),
        "n_seeds": len(comparison.pairs),
    }
    means = {metric: _means(metric, comparison) for metric in MEASURED}
    measures = identity(row | {key: value for one in means.values() for key, value in one.items()})
    bounds, row["interval"] = known.get(measures) or intervals(comparison)
    for metric in MEASURED:
        row |= means[metric] | _bounded(f"{metric}_delta", bounds)
    base, delta = row["opis_base"], row["opis_delta"]
    row["opis_delta_percent"] = 100 * delta / base if base else math.nan
    row |= _bounded("opis_delta_percent", bounds)
    first = comparison.pairs[0][0]
    return row | {"epsilon": first.metrics["epsilon"], "suite": suite, "scale": first.scale}


def mean_row(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison's cell, scale, seeds and means, without the costly intervals."""
    dataset, backbone, loss = comparison.cell
    row: dict[str, Any] = {"dataset": dataset, "backbone": backbone, "loss": loss}
    row |= {"scale": comparison.pairs[0][0].scale, "n_seeds": len(comparison.pairs)}
    for metric in MEASURED:
        row |= _means(metric, comparison)
    return row


def _setting(tcm: MeasuredRun, swept: Sequence[str]) -> dict[str, Any]:
    """Return the columns of swept settings; none where nothing is swept."""
    if not swept:
        return {}
    values = _values(tcm, swept)
    words = [said(key, value) for key, value in values.items() if value is not None]
    return values | {"setting": ", ".join(words), "as_configured": "~" not in tcm.run.loss}


def _means(metric: str, comparison: Comparison) -> dict[str, float]:
    pairs = comparison.pairs
    base, tcm = (
        sum(float(pair[side].metrics[metric]) for pair in pairs) / len(pairs) for side in (0, 1)
    )
    differences = [float(tcm.metrics[metric]) - float(base.metrics[metric]) for base, tcm in pairs]
    return {
        f"{metric}_base": base,
        f"{metric}_tcm": tcm,
        f"{metric}_delta": sum(differences) / len(differences),
    }


def _bounded(name: str, bounds: dict[str, tuple[float, float]]) -> dict[str, float]:
    low, high = bounds[name]
    return {f"{name}_low": low, f"{name}_high": high}
