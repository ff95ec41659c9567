r"""The comparison table as LaTeX, for `\input` into a document that loads booktabs and graphicx."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tcmbench.tables.cells import Line, Metric

ESCAPES = str.maketrans(
    {mark: f"\\{mark}" for mark in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"−": "$-$", "×": r"$\times$", "β": r"$\beta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    | {"†": r"$\dagger$", "‡": r"$\ddagger$", "≥": r"$\geq$", "·": r"$\cdot$", "ε": r"$\epsilon$"}
    | {"⁻": r"\textsuperscript{$-$}", "³": r"\textsuperscript{3}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
    # After a line break LaTeX would read these two as options of the break.
    | {"[": "{[}", "*": "{*}"}
)


def latex(metrics: Sequence[Metric], lines: Iterable[Line], notes: Sequence[str]) -> str:
    """Return a tabular grouped by dataset, and its notes in a box as wide as the text."""
    numbers = sum(len(metric.columns) for metric in metrics)
    body = [
        r"% Needs \usepackage{booktabs,graphicx}. Shrinks to the width of the text if it is wider.",
        r"{\footnotesize\setlength{\tabcolsep}{3pt}%",
        r"\noindent\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}ll{'r' * numbers}@{{}}}}",
        r"\toprule",
        *_head(metrics),
    ]
    for dataset, group in groupby(lines, key=lambda line: line.dataset):
        title = rf"\multicolumn{{{2 + numbers}}}{{@{{}}l}}{{\textit{{{escape(dataset)}}}}}"
        body += [r"\midrule", _row([title])]
        for line in group:
            body += [_row(_cells(line)), _row(_intervals(line))]
    body += [r"\bottomrule", r"\end{tabular}}}", "", r"\medskip"]
    paragraphs = "\n\n".join(map(escape, notes))
    box = [
        r"\noindent\parbox{\linewidth}{\scriptsize\setlength{\parskip}{2pt}",
        paragraphs,
        "}",
        "",
    ]
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
    return [_row(groups), rules, _row(["Backbone", "Loss", *map(escape, columns)])]


def _cells(line: Line) -> Iterator[str]:
    yield from (escape(line.backbone), escape(line.loss))
    for cells in line.cells:
        yield from (cells.base, cells.tcm, escape(cells.change.text), *map(escape, cells.extras))


def _intervals(line: Line) -> Iterator[str]:
    """Set the intervals below their changes, in small type: beside them, no page is wide enough."""
    yield rf"\multicolumn{{2}}{{@{{}}l}}{{\scriptsize {escape(line.seeds)}}}"
    for cells in line.cells:
        interval = cells.change.interval
        small = rf"\scriptsize {escape(interval)}" if interval else ""
        yield from ("", "", small, *("" for _ in cells.extras))


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
