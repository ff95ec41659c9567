"""Numbers of others, to be read beside ours: the paper's, once typed in, and the base losses'."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.errors import UserError, nearest
from tcmbench.tables.names import BACKBONES, DATASETS, LOSSES, MINIATURE
from tcmbench.tables.runs import Cell

if TYPE_CHECKING:
    import pandas as pd

CELL = ("dataset", "backbone", "loss")
# In place of a cell whose settings are not the configuration's.
UNKNOWN = ("", "", "")
# Column: (what it is divided by to be in our units, least, most), of the number as typed in.
PAPER = {
    "recall_at_1_tcm": (100.0, 0.0, 100.0),
    "recall_at_1_delta": (100.0, -100.0, 100.0),
    "opis_tcm": (1.0, 0.0, 0.25),
    "opis_delta": (1.0, -0.25, 0.25),
    "epsilon_opis_tcm": (1.0, 0.0, 1.0),
    "epsilon_opis_delta": (1.0, -1.0, 1.0),
}
PUBLISHED = {"recall_at_1": (100.0, 0.0, 100.0)}
RECALL = "recall_at_1"
# A share given where percent are asked for; no network of the paper's is that bad.
LEAST_RECALL = 1.0

Limits = dict[str, tuple[float, float, float]]
Numbers = dict[Cell, dict[str, float]]


def read_paper(path: Path | str) -> Numbers:
    """Read the paper's table as typed in; empty cells are NaN, wholly empty rows left out.

    Units of the file stand in its comments; returned are shares (R@1) and plain OPIS.

    Raises:
        UserError: a missing file or column, an unknown or doubled row, or a cell that is no number
            or cannot be true.
    """
    rows = _read(path, PAPER)
    for cell, numbers in rows.items():
        for metric in ("recall_at_1", "opis", "epsilon_opis"):
            base = numbers[f"{metric}_tcm"] - numbers[f"{metric}_delta"]
            least, most = (
                limit / PAPER[f"{metric}_tcm"][0] for limit in PAPER[f"{metric}_tcm"][1:]
            )
            if not (math.isnan(base) or least <= base <= most):
                raise UserError(
                    f"{path}, {' '.join(cell)}: {metric}_tcm minus {metric}_delta is {base:g}, "
                    "which no base loss can have; check sign and unit of both"
                )
    return rows


def read_published(path: Path | str) -> Numbers:
    """Read R@1 of base losses from their own papers, as shares; the sources stand in the file.

    Raises:
        UserError: as `read_paper`.
    """
    return _read(path, PUBLISHED)


def add_references(frame: "pd.DataFrame", paper: Numbers, published: Numbers) -> "pd.DataFrame":
    """Append `paper_*` and `published_*` columns where a row of a full-scale frame has any.

    A miniature only bears the name of a dataset, so it is never set beside the paper's numbers, and
    neither is a run with other settings than the configuration's.
    """
    if (frame["scale"] == MINIATURE).any():
        return frame
    frame = frame.copy()
    usual = frame.get("as_configured", [True] * len(frame))
    rows = frame[list(CELL)].itertuples(index=False)
    cells = [tuple(row) if plain else UNKNOWN for row, plain in zip(rows, usual, strict=True)]
    for prefix, numbers, columns in (("paper", paper, PAPER), ("published", published, PUBLISHED)):
        if any(cell in numbers for cell in cells):
            for column in columns:
                values = [numbers.get(cell, {}).get(column, math.nan) for cell in cells]
                frame[f"{prefix}_{column}"] = values
    return frame


def _read(path: Path | str, limits: Limits) -> Numbers:
    found: Numbers = {}
    for line, row in _rows(path, (*CELL, *limits)):
        cell = _cell(f"{path} line {line}", row)
        if cell in found:
            raise UserError(f"{path} line {line}: {' '.join(cell)} occurs twice; keep one row")
        found[cell] = {
            column: _number(f"{path} line {line}, {column}", row[column], column, limits[column])
            for column in limits
        }
    return {
        cell: numbers
        for cell, numbers in found.items()
        if not all(map(math.isnan, numbers.values()))
    }


def _rows(path: Path | str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells of each line that is no comment."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); save it as CSV in UTF-8") from None
    numbered = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    table = csv.DictReader(line for _, line in numbered)
    absent = [column for column in columns if column not in (table.fieldnames or ())]
    if absent:
        raise UserError(f"{path} lacks the column '{absent[0]}'; it needs {', '.join(columns)}")
    for (number, _), row in zip(numbered[1:], table, strict=False):
        if None in row or None in row.values():
            raise UserError(
                f"{path} line {number} has {'more' if None in row else 'fewer'} cells than the "
                "header; count its commas, and write decimals with a point"
            )
        yield number, {name: text.strip() for name, text in row.items()}


def _cell(where: str, row: dict[str, str]) -> Cell:
    for name, known in zip(CELL, (DATASETS, BACKBONES, LOSSES), strict=True):
        if row[name] not in known:
            raise UserError(f"{where}: unknown {name} '{row[name]}'; {nearest(row[name], known)}")
    return row["dataset"], row["backbone"], row["loss"]


def _number(where: str, text: str, column: str, limits: tuple[float, float, float]) -> float:
    divisor, least, most = limits
    if not text:
        return math.nan
    try:
        value = float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        raise UserError(f"{where}: '{text}' is not a number; leave unknown cells empty") from None
    if not least <= value <= most:
        raise UserError(f"{where}: {text} is not between {least:g} and {most:g}; check its unit")
    if column.removesuffix("_tcm") == RECALL and value <= LEAST_RECALL:
        raise UserError(
            f"{where}: {text} is a share; R@1 stands here in percent, as {100 * value:g}"
        )
    return value / divisor
