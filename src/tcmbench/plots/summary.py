"""All comparisons of a suite at one look: OPIS before and after, and what else changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcmbench.plots.style import (
    BETTER,
    FULL,
    GREY,
    INK,
    LIGHT,
    WORSE,
    logarithmic,
    styled,
    variant_mark,
)
from tcmbench.tables.cells import Change, Line, Metric, printed_lines, printed_metrics
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
    """One comparison: its height from the top, its numbers, and the change of each metric."""

    height: int
    numbers: "pd.Series[Any]"
    changes: dict[str, Change]


def draw_summary(frame: "pd.DataFrame") -> "Figure":
    """Draw a row a comparison: OPIS from base to +TCM, then the changes of OPIS, R@1 and ε-OPIS.

    A change whose interval holds 0 is hollow. An interval that would crush its panel is cut off,
    with an arrow and the number where it ends.

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
        first, *others = figure.subplots(1, 4, sharey=True, width_ratios=[1.3, 1, 1, 1])
        _dumbbells(first, rows, opis)
        for axes, metric in zip(others, (opis, recall, epsilon_opis), strict=True):
            _changes(axes, rows, metric)
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
            {metric.key: cells.change for metric, cells in zip(metrics, line.cells, strict=True)},
        )
        for height, (_, numbers), line in zip(heights, frame.iterrows(), lines, strict=True)
    ]


def _dumbbells(axes: "Axes", rows: Sequence[Row], metric: Metric) -> None:
    for row in rows:
        base, tcm = (metric.factor * row.numbers[f"{metric.key}_{end}"] for end in ("base", "tcm"))
        colour, _ = LOOKS[row.changes[metric.key].verdict]
        axes.plot([base, tcm], [row.height] * 2, color=colour, linewidth=1.4, zorder=1)
        axes.plot(base, row.height, "o", **variant_mark("base"))
        axes.plot(tcm, row.height, "o", **variant_mark("tcm"))
    values = [row.numbers[f"{metric.key}_{end}"] for row in rows for end in ("base", "tcm")]
    if min(values) > 0 and max(values) / min(values) > WIDE:
        logarithmic(axes, "x")
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(f"{metric.title}\n({metric.unit})\n{_direction(metric)}")


def _changes(axes: "Axes", rows: Sequence[Row], metric: Metric) -> None:
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    changes = [_change(row, metric) for row in rows]
    limit = _limit(changes)
    for row, (delta, low, high) in zip(rows, changes, strict=True):
        change = row.changes[metric.key]
        colour, marker = LOOKS[change.verdict]
        if math.isnan(low):
            axes.plot([0, delta], [row.height] * 2, color=colour, linewidth=1.4, zorder=1)
        else:
            ends = max(low, -limit), min(high, limit)
            axes.plot(ends, [row.height] * 2, color=colour, linewidth=0.8, zorder=1)
            _cut_off(axes, row.height, (low, high), limit, colour)
        face = "white" if change.unsure else colour
        look: Any = {"markersize": 4.5, "markeredgewidth": 0.8, "markerfacecolor": face}
        axes.plot(delta, row.height, marker, color=colour, **look)
    if math.isfinite(limit):
        axes.set_xlim(-1.08 * limit, 1.08 * limit)
    unit = metric.unit.replace("%", "points")
    axes.set_xlabel(f"change of {metric.title}\n({unit})\n{_direction(metric)}")


def _change(row: Row, metric: Metric) -> tuple[float, float, float]:
    delta, low, high = (
        metric.factor * row.numbers[f"{metric.key}_delta{end}"] for end in ("", "_low", "_high")
    )
    return delta, low, high


def _limit(changes: Sequence[tuple[float, float, float]]) -> float:
    """Return how far from 0 intervals are drawn; infinity where none is much wider than others."""
    ends = sorted(abs(end) for _, *both in changes for end in both if not math.isnan(end))
    if not ends:
        return math.inf
    usual = ends[int(0.8 * (len(ends) - 1))]
    limit = 1.5 * max(usual, *(abs(delta) for delta, *_ in changes))
    return limit if ends[-1] > 1.2 * limit else math.inf


def _cut_off(
    axes: "Axes", height: int, ends: tuple[float, float], limit: float, colour: str
) -> None:
    """Mark where an interval goes on beyond the panel, and say how far."""
    for end, marker, side, shift in ((ends[0], "<", "left", 4), (ends[1], ">", "right", -4)):
        if abs(end) <= limit:
            continue
        place = math.copysign(limit, end)
        axes.plot(place, height, marker, color=colour, markersize=3.5, markeredgewidth=0)
        axes.annotate(
            f"{end:.3g}".replace("-", "\N{MINUS SIGN}"),
            (place, height),
            xytext=(shift, 2.5),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=5,
            color=INK,
        )


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
    changes = [change for row in rows for change in row.changes.values()]
    seen = {change.verdict for change in changes}
    for name, (colour, marker) in LOOKS.items():
        if name in seen:
            handles.append(Line2D([], [], marker=marker, color=colour, label=name, **line))
    if any(change.unsure for change in changes):
        hollow = line | {"markeredgewidth": 0.8, "markerfacecolor": "white", "linewidth": 0.8}
        handles.append(Line2D([], [], marker="o", color=GREY, label="interval holds 0", **hollow))
    for kind, label in INTERVALS.items():
        if any(row.numbers["interval"] == kind for row in rows):
            handles.append(Line2D([], [], color=GREY, linewidth=0.8, label=label))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
