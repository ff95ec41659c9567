"""All comparisons of a suite at one look: OPIS before and after, and what else changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcmbench.plots.style import BETTER, FULL, GREY, LIGHT, WORSE, logarithmic, styled, variant_mark
from tcmbench.tables.cells import Line, Metric, printed_lines, printed_metrics
from tcmbench.tables.reading import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT, FRAME_HEIGHT = 0.18, 0.95
# Values that span more than this factor are drawn on a logarithmic axis.
WIDE = 20.0
# Shape and colour say the same, for print without colour.
LOOKS = {"better": (BETTER, "o"), "worse": (WORSE, "X"), "equal": (GREY, "s")}

COLUMNS = [
    *("dataset", "scale", "backbone", "loss", "n_seeds", "interval", "epsilon"),
    *(
        f"{metric}_{part}"
        for metric in ("recall_at_1", "opis", "epsilon_opis")
        for part in ("base", "tcm", "delta", "delta_low", "delta_high")
    ),
]
# What the column `interval` of comparisons.csv says of the lines.
INTERVALS = {
    "paired t": "95 % paired t-interval over seeds",
    "class bootstrap": "95 % interval, n = 1, class bootstrap",
}


@dataclass(frozen=True)
class Row:
    """One comparison: its height from the top, its numbers, and the verdict on each metric."""

    height: int
    numbers: "pd.Series[Any]"
    verdicts: dict[str, str]


def draw_summary(frame: "pd.DataFrame") -> "Figure":
    """Draw a row a comparison: OPIS from base to +TCM, then the changes of R@1 and ε-OPIS.

    Args:
        frame: comparisons.csv; R@1 as shares, bounds of intervals empty where they are not known.

    Raises:
        UserError: a column is missing.
    """
    from matplotlib.figure import Figure

    require(frame, COLUMNS)
    metrics = printed_metrics(frame)
    recall, opis, epsilon_opis = metrics
    lines = printed_lines(frame, metrics)
    names = row_names(lines)
    rows = _rows(frame, metrics, lines, names)
    with styled():
        figure = Figure(
            figsize=(FULL, FRAME_HEIGHT + ROW_HEIGHT * len(names)), layout="constrained"
        )
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[1.5, 1, 1])
        _dumbbells(left, rows, opis)
        _changes(middle, rows, recall)
        _changes(right, rows, epsilon_opis)
        _name_rows(figure, names)
        _legend(figure, rows)
    return figure


def row_names(lines: Sequence[Line]) -> list[tuple[str, bool]]:
    """Return the labels from top to bottom: a heading (`True`) above each dataset's lines."""
    names: list[tuple[str, bool]] = []
    dataset = None
    for line in lines:
        if line.dataset != dataset:
            names.append((line.dataset, True))
            dataset = line.dataset
        names.append((f"{line.backbone} · {line.loss}", False))
    return names


def _rows(
    frame: "pd.DataFrame",
    metrics: Sequence[Metric],
    lines: Sequence[Line],
    names: Sequence[tuple[str, bool]],
) -> list[Row]:
    heights = [height for height, (_, heading) in enumerate(names) if not heading]
    return [
        Row(
            height,
            numbers,
            {
                metric.key: cells.change.verdict
                for metric, cells in zip(metrics, line.cells, strict=True)
            },
        )
        for height, (_, numbers), line in zip(heights, frame.iterrows(), lines, strict=True)
    ]


def _dumbbells(axes: "Axes", rows: Sequence[Row], metric: Metric) -> None:
    for row in rows:
        base, tcm = (metric.factor * row.numbers[f"{metric.key}_{end}"] for end in ("base", "tcm"))
        colour, _ = LOOKS[row.verdicts[metric.key]]
        axes.plot([base, tcm], [row.height] * 2, color=colour, linewidth=1.4, zorder=1)
        axes.plot(base, row.height, "o", **variant_mark("base"))
        axes.plot(tcm, row.height, "o", **variant_mark("tcm"))
    values = [row.numbers[f"{metric.key}_{end}"] for row in rows for end in ("base", "tcm")]
    if min(values) > 0 and max(values) / min(values) > WIDE:
        logarithmic(axes, "x")
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(f"{metric.title} ({metric.unit})\n{_direction(metric)}")


def _changes(axes: "Axes", rows: Sequence[Row], metric: Metric) -> None:
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    for row in rows:
        delta, low, high = (
            metric.factor * row.numbers[f"{metric.key}_delta{end}"] for end in ("", "_low", "_high")
        )
        colour, marker = LOOKS[row.verdicts[metric.key]]
        if math.isnan(low):
            axes.plot([0, delta], [row.height] * 2, color=colour, linewidth=1.4, zorder=1)
        else:
            axes.plot([low, high], [row.height] * 2, color=colour, linewidth=0.8, zorder=1)
        axes.plot(delta, row.height, marker, color=colour, markersize=4.5, markeredgewidth=0)
    unit = metric.unit.replace("%", "points")
    axes.set_xlabel(f"change of {metric.title} ({unit})\n{_direction(metric)}")


def _direction(metric: Metric) -> str:
    return "← lower is better" if metric.lower_is_better else "higher is better →"


def _name_rows(figure: "Figure", names: Sequence[tuple[str, bool]]) -> None:
    first = figure.axes[0]
    first.set_yticks(range(len(names)), [name for name, _ in names])
    first.set_ylim(len(names) - 0.4, -0.6)
    for label, (_, heading) in zip(first.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if heading else "normal")
    for axes in figure.axes:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for height, (_, heading) in enumerate(names):
            if not heading:
                axes.axhline(height, color=LIGHT, linewidth=0.4, zorder=0)


def _legend(figure: "Figure", rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    line: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 0, "linewidth": 1.4}
    handles = [
        Line2D([], [], marker="o", label=label, **variant_mark(variant))
        for variant, label in (("base", "base"), ("tcm", "+TCM"))
    ]
    seen = {verdict for row in rows for verdict in row.verdicts.values()}
    for name, (colour, marker) in LOOKS.items():
        if name in seen:
            handles.append(Line2D([], [], marker=marker, color=colour, label=name, **line))
    for kind, label in INTERVALS.items():
        if any(row.numbers["interval"] == kind for row in rows):
            handles.append(Line2D([], [], color=GREY, linewidth=0.8, label=label))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
