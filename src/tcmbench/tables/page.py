"""The comparison table as one HTML page that needs nothing else: no script, no network."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from tcmbench.tables.cells import Line, Metric
from tcmbench.tables.style import CSS

TITLE = "Base loss against base loss + TCM"
INTRODUCTION = (
    "Each line: one network trained with the base loss alone and once more with TCM added, all "
    "else equal. R@1 ↑ higher is better; OPIS ↓ lower is better."
)


def page(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a whole page; it reads on paper, on a phone, and in a dark room."""
    groups = groupby(lines, key=lambda line: line.dataset)
    bodies = "\n".join(_body(dataset, metrics, group) for dataset, group in groups)
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<style>
{CSS}
</style>
</head>
<body>
<h1>{TITLE}</h1>
<p>{INTRODUCTION}
<span class="key"><span class="better">better</span> <span class="worse">worse</span></span></p>
<div class="scroll" tabindex="0" role="region" aria-label="Comparison table">
<table>
<thead>
{_head(metrics)}
</thead>
{bodies}
</table>
</div>
<ul class="notes">
{items}
</ul>
</body>
</html>
"""


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
        f"<span>{escape(line.loss)}</span></th>{''.join(_cells(metrics, line))}</tr>"
        for line in lines
    )
    return f'<tbody>\n<tr class="dataset">{title}</tr>\n{rows}\n</tbody>'


def _cells(metrics: Sequence[Metric], line: Line) -> Iterator[str]:
    for metric, cells in zip(metrics, line.cells, strict=True):
        change = cells.change
        small = f"<small>{escape(change.interval)}</small>" if change.interval else ""
        yield f'<td class="first">{escape(cells.base)}</td><td>{escape(cells.tcm)}</td>'
        yield (
            f'<td><span class="{change.verdict}" title="{change.verdict}">'
            f"{escape(change.text)}</span>{small}</td>"
        )
        if metric.relative:
            yield f"<td>{escape(change.percent)}</td>"
