"""Intervals that a table already holds, for whoever shows the very same measures again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from tcmbench.tables.intervals import Interval
from tcmbench.tables.names import VARIANTS
from tcmbench.tables.reading import read_frame, require
from tcmbench.tables.runs import MEASURED

CHANGES = (*(f"{metric}_delta" for metric in MEASURED), "opis_delta_percent")
# What tells a row of a `comparisons_frame` from the same cell measured anew.
IDENTITY = (
    *("dataset", "backbone", "loss", "n_seeds"),
    *(f"{metric}_{side}" for metric in MEASURED for side in VARIANTS),
)

Known: TypeAlias = Mapping[tuple[Any, ...], tuple[dict[str, Interval], str]]


def identity(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """Return what a row is recognised by: its cell, its seeds and its exact measures."""
    return tuple(row[name] for name in IDENTITY)


def earlier_intervals(path: Path) -> Known:
    """Read the intervals of a comparisons.csv, as `intervals` gave them, by `identity`.

    Raises:
        UserError: as `read_frame` and `require`.
    """
    frame = read_frame(path)
    ends = [f"{change}_{end}" for change in CHANGES for end in ("low", "high")]
    require(frame, (*IDENTITY, *ends, "interval"), path)
    return {
        identity(row): (
            {name: (float(row[f"{name}_low"]), float(row[f"{name}_high"])) for name in CHANGES},
            str(row["interval"]),
        )
        for row in frame.to_dict("records")
    }
