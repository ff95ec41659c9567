"""The comparison table, one sortable row a comparison, with links to its runs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from tcmbench.page.names import anchor
from tcmbench.tables.cells import PAPER, PUBLISHED, RELATIVE, Line, Metric
from tcmbench.tables.document import KEY, scrolled
from tcmbench.tables.runs import Comparison

if TYPE_CHECKING:
    import pandas as pd

CAPTION = (
    "Each row: one network trained with the base loss alone and once more with TCM added, all else "
    "equal. R@1 ↑ higher is better; OPIS ↓ lower is better. A heading sorts by its column."
)
# Where a printed column stands in a `comparisons_frame`.
SOURCES = {
    "base": "{key}_base",
    "+TCM": "{key}_tcm",
    "change": "{key}_delta",
    RELATIVE: "{key}_delta_percent",
    PUBLISHED: "published_recall_at_1",
    PAPER: "paper_{key}_tcm",
}


def table(
    comparisons: Sequence[Comparison],
    frame: "pd.DataFrame",
    metrics: Sequence[Metric],
    lines: Iterable[Line],
) -> str:
    """Return the table as HTML.

    Args:
        comparisons: in the order of print.
        frame: their `comparisons_frame`.
        metrics: their `printed_metrics`.
        lines: their `printed_lines`.
    """
    rows = [
        _row(comparison, row, metrics, line)
        for comparison, (_, row), line in zip(comparisons, frame.iterrows(), lines, strict=True)
    ]
    body = "\n".join(rows)
    caption = f'<caption><span class="text">{escape(CAPTION)} {KEY}</span></caption>'
    parts = f"{caption}\n<thead>\n{_head(metrics)}\n</thead>\n<tbody>\n{body}\n</tbody>"
    return scrolled("Comparison table", parts)


def _head(metrics: Sequence[Metric]) -> str:
    groups = "".join(
        f'<th colspan="{len(metric.columns)}" scope="colgroup">{escape(metric.heading)}</th>'
        for metric in metrics
    )
    names = [("Dataset", "name", "Dataset"), ("Backbone · loss", "left", "Backbone and loss")]
    titles = [
        (column, "", f"{metric.title}, {column}") for metric in metrics for column in metric.columns
    ]
    columns = "".join(_sorting(number, *title) for number, title in enumerate(names + titles))
    return (
        f'<tr><td colspan="2" class="name"></td>{groups}<td></td></tr>\n'
        f'<tr class="columns">{columns}<th scope="col" class="left">Runs</th></tr>'
    )


def _sorting(number: int, title: str, look: str, label: str) -> str:
    return (
        f'<th scope="col" class="{look}" aria-sort="none" data-column="{number}">'
        f'<button type="button" aria-label="Sort by {escape(label)}">{escape(title)}</button></th>'
    )


def _row(
    comparison: Comparison, row: "pd.Series[float]", metrics: Sequence[Metric], line: Line
) -> str:
    dataset, backbone, loss, seeds = map(
        escape, (line.dataset, line.backbone, line.loss, line.seeds)
    )
    names = (
        f'<th scope="row" class="name" data-value="{dataset}">{dataset}</th>'
        f'<td class="left" data-value="{backbone} {loss}">{backbone}&nbsp;· {loss}'
        f"<small>{seeds}</small></td>"
    )
    cells = "".join(_cells(row, metrics, line))
    return f'<tr>{names}{cells}<td class="left">{_links(comparison)}</td></tr>'


def _cells(row: "pd.Series[float]", metrics: Sequence[Metric], line: Line) -> Iterator[str]:
    for metric, cells in zip(metrics, line.cells, strict=True):
        change = cells.change
        small = f"<small>{escape(change.interval)}</small>" if change.interval else ""
        mark = (
            f'<span class="{change.verdict}" title="{change.verdict}">{escape(change.text)}</span>'
        )
        shown = [escape(cells.base), escape(cells.tcm), mark + small, *map(escape, cells.extras)]
        for column, text in zip(metric.columns, shown, strict=True):
            value = float(row[SOURCES[column].format(key=metric.key)])
            known = "" if math.isnan(value) else repr(value)
            first = ' class="first"' if column == "base" else ""
            yield f'<td{first} data-value="{known}">{text}</td>'


def _links(comparison: Comparison) -> str:
    """Link the runs of a comparison: base and +TCM, and the seed where there are several."""
    several = len(comparison.pairs) > 1
    links = []
    for pair in comparison.pairs:
        for run, title in zip(pair, ("base", "+TCM"), strict=True):
            seed = f" {run.run.seed}" if several else ""
            links.append(f'<a href="#{escape(anchor(run.folder))}">{title}{seed}</a>')
    return "<br>".join(links)
