"""`regularizer: tuned`: the margins that a suite with `validation` has chosen."""

import csv
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.config.schema import load_schema
from tcmbench.config.sweeps import REGULARIZER, Point

Cell = tuple[str, str, str]
WORD = "tuned"
SETTINGS = ("margin_positive", "margin_negative", "weight_positive", "weight_negative")


def usual(config: dict[str, Any]) -> dict[str, Any]:
    """Return the regularizer's settings where a run has no others: of 'tuned', the defaults."""
    written = config["regularizer"]
    if written != WORD:
        return dict(written)
    known = load_schema()["properties"]["regularizer"]["properties"]
    return {key: known[key]["default"] for key in known}


def table_of(config: dict[str, Any], scale: str) -> Path | None:
    """Return the table in which margins were chosen, relative to the working directory."""
    paths = [Path(f"results/tables/{suite}/margins.csv") for suite in _suites(config, scale)]
    return next(filter(Path.is_file, paths), None)


def _suites(config: dict[str, Any], scale: str) -> list[str]:
    return [
        name
        for name, grid in config["suites"].items()
        if "validation" in grid and grid["scale"] == scale
    ]


def choices(config: dict[str, Any], scale: str) -> dict[Cell, Point]:
    """Return the chosen settings of the regularizer by dataset, backbone and loss.

    Of several suites of a scale that have chosen, the first of the configuration decides.

    Raises:
        UserError: no suite of this scale has made its choice, or a table is not one.
    """
    path = table_of(config, scale)
    if path is None:
        ways = " or ".join(f"suite={name}" for name in _suites(config, scale))
        ways = ways or "a suite with 'validation'"
        raise UserError(
            "config.yaml key 'regularizer' is 'tuned', but no margins have been chosen at scale "
            f"'{scale}'; run snakemake --config {ways} first"
        )
    return _read(path)


def choice(found: dict[Cell, Point], cell: Cell) -> Point:
    """Return the chosen settings of one cell.

    Raises:
        UserError: none were chosen for it.
    """
    if cell not in found:
        raise UserError(
            "config.yaml key 'regularizer' is 'tuned', but no margins have been chosen for "
            f"{', '.join(cell)}; run it in a suite with 'validation', or give margins"
        )
    return found[cell]


def _read(path: Path) -> dict[Cell, Point]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["chosen"] == "True"]
        return {
            (row["dataset"], row["backbone"], row["loss"]): {
                f"{REGULARIZER}{key}": float(row[key]) for key in row if key in SETTINGS
            }
            for row in rows
        }
    except (KeyError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not a table of chosen margins ({error}); remove it and run its suite again"
        ) from None
