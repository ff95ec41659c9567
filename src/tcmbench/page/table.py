"""The comparison table, one sortable row a comparison, with links to its runs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.page.names import anchor
from tcmbench.tables.cells import PAPER, PUBLISHED, RELATIVE, Line, Metric
from tcmbench.tables.pairing import Comparison

if TYPE_CHECKING:
    import pandas as pd

# Where a printed column stands in a `comparisons_frame`.
SOURCES = {
    "base": "{key}_base",
    "+TCM": "{key}_tcm",
    "change": "{key}_delta",
    RELATIVE: "{key}_delta_percent",
    PUBLISHED: "published_recall_at_1",
    PAPER: "paper_{key}_tcm",
}
NAMES = (
    {"title": "Dataset", "look": "name", "label": "Dataset"},
    {"title": "Backbone · loss", "look": "left", "label": "Backbone and loss"},
)


def index_table(
    comparisons: Sequence[Comparison],
    frame: "pd.DataFrame",
    metrics: Sequence[Metric],
    lines: Iterable[Line],
) -> dict[str, Any]:
    """Return what the template of the table prints.

    Args:
        comparisons: in the order of print.
        frame: their `comparisons_frame`.
        metrics: their `printed_metrics`.
        lines: their `printed_lines`.
    """
    columns = [
        {"title": column, "look": "", "label": f"{metric.title}, {column}"}
        for metric in metrics
        for column in metric.columns
    ]
    rows = [
        {"line": line, "cells": list(_cells(row, metrics, line)), "links": _links(comparison)}
        for comparison, (_, row), line in zip(comparisons, frame.iterrows(), lines, strict=True)
    ]
    return {"metrics": metrics, "columns": [*NAMES, *columns], "rows": rows}


def _cells(
    row: "pd.Series[float]", metrics: Sequence[Metric], line: Line
) -> Iterator[dict[str, Any]]:
    """Yield the cells behind the names, each with the value it is sorted by."""
    for metric, cells in zip(metrics, line.cells, strict=True):
        shown = (cells.base, cells.tcm, cells.change.text, *cells.extras)
        for column, text in zip(metric.columns, shown, strict=True):
            value = float(row[SOURCES[column].format(key=metric.key)])
            yield {
                "text": text,
                "value": "" if math.isnan(value) else repr(value),
                "first": column == "base",
                "change": cells.change if column == "change" else None,
            }


def _links(comparison: Comparison) -> list[list[dict[str, str]]]:
    """Link the runs of a comparison, a line for base and one for +TCM.

    Where there are several the first of a line has its name, and each its fold and its seed.
    """
    several = len(comparison.pairs) > 1
    lines = []
    for title, runs in zip(("base", "+TCM"), zip(*comparison.pairs, strict=True), strict=True):
        links: list[dict[str, str]] = []
        for run in runs:
            fold = f"{run.fold.number}/{run.fold.of}" if run.fold else ""
            words = ("" if links else title, fold, str(run.run.seed) if several else "")
            links.append({"anchor": anchor(run.folder), "title": " ".join(filter(None, words))})
        lines.append(links)
    return lines
