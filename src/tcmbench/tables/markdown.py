"""The comparison table as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from tcmbench.tables.cells import Line, Metric

ESCAPES = str.maketrans({mark: f"\\{mark}" for mark in "\\|*_`<>[]"})


def markdown(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a GitHub table and, below it, its notes."""
    names = ["Dataset", "Backbone", "Loss"]
    titles = [
        title
        for metric in metrics
        for title in (f"{metric.heading} {metric.columns[0]}", *metric.columns[1:])
    ]
    table = [
        _row([*names, *titles, "Interval"]),
        "|" + "---|" * len(names) + "---:|" * len(titles) + "---|",
        *(_row(_cells(line)) for line in lines),
    ]
    return "\n".join([*table, "", *(f"- {note.translate(ESCAPES)}" for note in notes), ""])


def _cells(line: Line) -> Iterator[str]:
    yield from (line.dataset, line.backbone, line.loss)
    for cells in line.cells:
        change = cells.change
        yield from (cells.base, cells.tcm, f"{change.text} {change.interval}".rstrip())
        yield from cells.extras
    yield line.seeds


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.translate(ESCAPES) for cell in cells) + " |"
