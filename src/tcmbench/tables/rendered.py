r"""The comparison table as one HTML page, and as LaTeX for `\input`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tcmbench import templates
from tcmbench.tables.cells import Line, Metric

TITLE = "Base loss against base loss + TCM"
# Of a LaTeX table, before those of the metrics: backbone and loss.
NAMES = 2


def page(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a whole page."""
    return templates.html(
        "comparisons.html",
        title=TITLE,
        metrics=metrics,
        datasets=_datasets(lines),
        sentences=notes,
    )


def latex(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a tabular grouped by dataset, and its notes in a box as wide as the text.

    The document loads booktabs and graphicx.
    """
    return templates.latex(
        "comparisons.tex",
        metrics=metrics,
        numbers=sum(metric.width for metric in metrics),
        spans=list(_spans(metrics)),
        datasets=_datasets(lines),
        notes=notes,
    )


def _datasets(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    return [(name, list(group)) for name, group in groupby(lines, key=lambda line: line.dataset)]


def _spans(metrics: Iterable[Metric]) -> Iterator[tuple[int, int]]:
    """Yield the first and last column of each metric, counted from 1."""
    last = NAMES
    for metric in metrics:
        first, last = last + 1, last + metric.width
        yield first, last
