"""The comparison table as one HTML page."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from tcmbench.tables.cells import Line, Metric
from tcmbench.tables.document import KEY, document, notes_list, scrolled

TITLE = "Base loss against base loss + TCM"
INTRODUCTION = (
    "Each line: one network trained with the base loss alone and once more with TCM added, all "
    "else equal. R@1 ↑ higher is better; OPIS ↓ lower is better."
)


def page(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a whole page."""
    groups = groupby(lines, key=lambda line: line.dataset)
    bodies = "\n".join(_body(dataset, metrics, group) for dataset, group in groups)
    table = scrolled("Comparison table", f"<thead>\n{_head(metrics)}\n</thead>\n{bodies}")
    return document(TITLE, f"<p>{INTRODUCTION}\n{KEY}</p>\n{table}\n{notes_list(notes)}")


def _head(metrics: Sequence[Metric]) -> str:
    groups = "".join(
        f'<th colspan="{len(metric.columns)}" scope="colgroup">{escape(metric.heading)}</th>'
        for metric in metrics
    )
    columns = "".join(
        f'<th scope="col">{escape(column)}</th>' for metric in metrics for column in metric.columns
    )
    return (
        f'<tr><th rowspan="2" scope="col" class="name">Backbone · loss</th>{groups}</tr>\n'
        f'<tr class="columns">{columns}</tr>'
    )


def _body(dataset: str, metrics: Sequence[Metric], lines: Iterable[Line]) -> str:
    columns = 1 + sum(len(metric.columns) for metric in metrics)
    title = f'<th scope="rowgroup" colspan="{columns}"><span>{escape(dataset)}</span></th>'
    rows = "\n".join(
        f'<tr><th scope="row" class="name">{escape(line.backbone)}&nbsp;· '
        f"<span>{escape(line.loss)}</span><small>{escape(line.seeds)}</small></th>"
        f"{''.join(_cells(line))}</tr>"
        for line in lines
    )
    return f'<tbody>\n<tr class="dataset">{title}</tr>\n{rows}\n</tbody>'


def _cells(line: Line) -> Iterator[str]:
    for cells in line.cells:
        change = cells.change
        small = f"<small>{escape(change.interval)}</small>" if change.interval else ""
        yield f'<td class="first">{escape(cells.base)}</td><td>{escape(cells.tcm)}</td>'
        yield (
            f'<td><span class="{change.verdict}" title="{change.verdict}">'
            f"{escape(change.text)}</span>{small}</td>"
        )
        yield from (f"<td>{escape(extra)}</td>" for extra in cells.extras)
