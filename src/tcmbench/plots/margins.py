"""The margins that were validated: what each does to OPIS and R@1, and which are chosen."""

import math
from typing import TYPE_CHECKING, Any

from tcmbench.plots.curves import cell_title
from tcmbench.plots.style import COLUMN, FULL, GREY, INK, LIGHT, VARIANT_COLOURS, styled
from tcmbench.tables.names import dataset_title
from tcmbench.tables.reading import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = ["dataset", "scale", "backbone", "loss"]
SETTINGS = {
    "margin_positive": "m⁺",
    "margin_negative": "m⁻",
    "weight_positive": "λ⁺",
    "weight_negative": "λ⁻",
}
# Change of a metric: column, factor, title with unit.
CHANGES = (
    ("opis", 1e3, "change of OPIS (×10⁻³)"),
    ("recall_at_1", 100.0, "change of R@1 (points)"),
)
ROW_HEIGHT, FRAME_HEIGHT = 0.15, 0.65
ACROSS = 2
CHOSEN = VARIANT_COLOURS["tcm"]


def draw_margins(frame: "pd.DataFrame") -> "Figure":
    """Draw for each dataset, backbone and loss what margins change, with standard errors.

    Args:
        frame: margins.csv: a row for each margins with `dataset`, `scale`, `backbone`, `loss`, the
            four settings, `opis_delta` and `recall_at_1_delta` (a share) with `_se`,
            `keeps_recall` and `chosen`. Changes are +TCM minus base, means over folds and seeds.

    Raises:
        UserError: a column is missing.
    """
    from matplotlib.figure import Figure

    of_changes = [f"{name}_delta{part}" for name, *_ in CHANGES for part in ("", "_se")]
    require(frame, (*CELL, *SETTINGS, *of_changes, "keeps_recall", "chosen"))
    cells = [rows for _, rows in frame.groupby(CELL, sort=False)]
    varied = [name for name in SETTINGS if frame[name].nunique() > 1] or list(SETTINGS)[:2]
    across = min(ACROSS, len(cells))
    down = math.ceil(len(cells) / across)
    height = FRAME_HEIGHT + ROW_HEIGHT * max(map(len, cells))
    with styled():
        size = (FULL if across > 1 else 1.4 * COLUMN, 0.3 + height * down)
        figure = Figure(figsize=size, layout="constrained")
        for place, (part, rows) in enumerate(
            zip(figure.subfigures(down, across, squeeze=False).flat, cells, strict=False)
        ):
            panels = part.subplots(1, len(CHANGES), sharey=True)
            for axes, change in zip(panels, CHANGES, strict=True):
                _panel(axes, rows, change)
            _name(panels[0], rows, varied)
            dataset, scale, backbone, loss = rows[CELL].iloc[0]
            part.suptitle(f"{dataset_title(dataset, scale)}, {cell_title(backbone, loss)}")
            if place == 0:
                figure.legend(handles=_legend(), loc="outside lower center", ncols=3)
    return figure


def _panel(axes: "Axes", rows: "pd.DataFrame", change: tuple[str, float, str]) -> None:
    column, factor, title = change
    axes.axvline(0, color=GREY, linewidth=0.6)
    for height, (_, row) in enumerate(rows.iterrows()):
        colour = CHOSEN if row["chosen"] else INK
        axes.errorbar(
            factor * row[f"{column}_delta"],
            height,
            xerr=factor * row[f"{column}_delta_se"],
            fmt="o",
            color=colour,
            markerfacecolor=colour if row["keeps_recall"] else "white",
            markersize=4,
            elinewidth=0.9,
        )
    axes.set_xlabel(title)
    axes.set_ylim(len(rows) - 0.4, -0.6)


def _name(axes: "Axes", rows: "pd.DataFrame", varied: list[str]) -> None:
    names = [
        ", ".join(f"{SETTINGS[name]} {row[name]:g}" for name in varied)
        for _, row in rows.iterrows()
    ]
    axes.set_yticks(range(len(names)), names)
    for label, chosen in zip(axes.get_yticklabels(), rows["chosen"], strict=True):
        label.set_color(CHOSEN if chosen else INK)
    axes.tick_params(axis="y", length=0)
    for other in axes.figure.axes:
        other.grid(axis="y", color=LIGHT, linewidth=0.6)
        other.set_axisbelow(True)


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    looks = (
        ("chosen", CHOSEN, CHOSEN),
        ("keeps R@1", INK, INK),
        ("loses more R@1 than its standard error", INK, "white"),
    )
    return [
        Line2D(
            [],
            [],
            marker="o",
            linewidth=0.9,
            markersize=4,
            color=edge,
            markerfacecolor=face,
            label=text,
        )
        for text, edge, face in looks
    ]
