r"""The comparison table as LaTeX, for `\input` into a document that loads booktabs."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tcmbench.tables.cells import Line, Metric

ESCAPES = str.maketrans(
    {mark: f"\\{mark}" for mark in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"−": "$-$", "×": r"$\times$", "β": r"$\beta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    | {"⁻": r"\textsuperscript{$-$}", "³": r"\textsuperscript{3}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
    # After a line break LaTeX would read these two as options of the break.
    | {"[": "{[}", "*": "{*}"}
)


def latex(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a tabular grouped by dataset, and its notes in a box as wide as the text."""
    numbers = sum(len(metric.columns) for metric in metrics)
    body = [
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{@{{}}ll{'r' * numbers}@{{}}}}",
        r"\toprule",
        *_head(metrics),
    ]
    for dataset, group in groupby(lines, key=lambda line: line.dataset):
        title = rf"\multicolumn{{{2 + numbers}}}{{@{{}}l}}{{\textit{{{escape(dataset)}}}}}"
        body += [r"\midrule", _row([title]), *(_row(_cells(metrics, line)) for line in group)]
    body += [r"\bottomrule", r"\end{tabular}", "", r"\medskip"]
    box = [r"\noindent\parbox{\linewidth}{\footnotesize", *map(escape, notes), "}", ""]
    return "\n".join(body + box)


def escape(text: str) -> str:
    """Return `text` with every character that LaTeX would not print as it is replaced."""
    return text.translate(ESCAPES)


def _head(metrics: Sequence[Metric]) -> list[str]:
    groups, rules, start = ["", ""], "", 3
    for metric in metrics:
        width = len(metric.columns)
        groups.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(metric.heading)}}}")
        rules += rf"\cmidrule(lr){{{start}-{start + width - 1}}}"
        start += width
    columns = [column for metric in metrics for column in metric.columns]
    return [_row(groups), rules, _row(["Backbone", "Loss", *columns])]


def _cells(metrics: Sequence[Metric], line: Line) -> Iterator[str]:
    yield from (escape(line.backbone), escape(line.loss))
    for metric, cells in zip(metrics, line.cells, strict=True):
        change = cells.change
        yield from (cells.base, cells.tcm, escape(f"{change.text} {change.interval}".rstrip()))
        if metric.relative:
            yield escape(change.percent)


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
