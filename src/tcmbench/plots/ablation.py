"""What TCM's margins and weights do: heat maps of the changes of OPIS and R@1."""

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.plots.curves import cell_title
from tcmbench.plots.style import BETTER, FULL, INK, WORSE, styled
from tcmbench.tables.cells import signed
from tcmbench.tables.names import dataset_title
from tcmbench.tables.reading import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = ["dataset", "scale", "backbone", "loss"]
# The regularizer's settings in the paper (section 5.2).
DEFAULTS = {
    "margin_positive": 0.9,
    "margin_negative": 0.5,
    "weight_positive": 1.0,
    "weight_negative": 1.0,
}
# What spans a grid: its rows, its columns, and how they are called.
GRIDS = {
    "margins": ("margin_positive", "margin_negative", "margin m⁺ (cosine)", "margin m⁻ (cosine)"),
    "weights": ("weight_positive", "weight_negative", "weight λ⁺", "weight λ⁻"),
}
# Change of a metric: column, factor, title with unit, decimals, whether a fall is better.
CHANGES = (
    ("opis", 1e3, "change of OPIS (×10⁻³)", 2, True),
    ("recall_at_1", 100.0, "change of R@1 (points)", 1, False),
)
ROW_HEIGHT, FRAME_HEIGHT = 2.3, 0.5


@dataclass(frozen=True)
class Grid:
    """One row of panels: a dataset, backbone and loss, and what is varied ("margins", ...)."""

    title: str
    varied: str
    table: "pd.DataFrame"


def draw_ablation(frame: "pd.DataFrame") -> "Figure":
    """Draw a row for each cell and varied pair: the changes of OPIS and of R@1 against base.

    Args:
        frame: runs.csv: a row a run with `dataset`, `scale`, `backbone`, `loss`, `variant`,
            `seed`, `opis`, `recall_at_1` (a share), and the four settings of `DEFAULTS` (empty
            where `variant` is base). Changes are +TCM minus base of the same seed, averaged.

    Raises:
        UserError: a column is missing, or nothing was varied.
    """
    from matplotlib.figure import Figure

    grids = find_grids(changes(frame))
    with styled():
        size = (FULL, FRAME_HEIGHT + ROW_HEIGHT * len(grids))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(grids), 2, squeeze=False)
        for index, change in enumerate(CHANGES):
            # One scale for all rows: a colour means the same everywhere.
            top = max(float(grid.table[change[0]].abs().max()) for grid in grids) * change[1]
            for axes, grid in zip(panels[:, index], grids, strict=True):
                _heat_map(axes, grid, change, top or 1.0)
        figure.legend(handles=[_default_mark()], loc="outside lower right")
    return figure


def changes(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the mean changes of `opis` and `recall_at_1` of each cell and regularizer.

    Raises:
        UserError: a column is missing, or no run with TCM has a base run of its seed.
    """
    require(frame, (*CELL, "seed", "variant", "opis", "recall_at_1", *DEFAULTS))
    keys, metrics = [*CELL, "seed"], ["opis", "recall_at_1"]
    base = frame.loc[frame["variant"] == "base", [*keys, *metrics]]
    tcm = frame.loc[frame["variant"] == "tcm", [*keys, *metrics, *DEFAULTS]]
    both = tcm.merge(base, on=keys, suffixes=("", "_base"), validate="many_to_one")
    if both.empty:
        raise UserError("runs.csv has no run with TCM whose base run is there; add base runs")
    for metric in metrics:
        both[metric] -= both.pop(f"{metric}_base")
    return both.groupby([*CELL, *DEFAULTS], sort=True)[metrics].mean().reset_index()


def find_grids(table: "pd.DataFrame") -> list[Grid]:
    """Return the grids in which two settings vary and the other two keep the paper's values.

    Raises:
        UserError: there is none.
    """
    found = []
    for cell in table[CELL].drop_duplicates().itertuples(index=False):
        dataset, scale, backbone, loss = map(str, cell)
        title = f"{dataset_title(dataset, scale)}, {cell_title(backbone, loss)}"
        of_cell = table[(table[CELL] == list(cell)).all(axis=1)]
        for varied, (first, second, *_) in GRIDS.items():
            fixed = [name for name in DEFAULTS if name not in (first, second)]
            usual = (of_cell[fixed] == [DEFAULTS[name] for name in fixed]).all(axis=1)
            if usual.sum() > 1:
                found.append(Grid(title, varied, of_cell[usual]))
    if not found:
        raise UserError(
            "runs.csv varies neither the margins at the paper's weights nor the weights at its "
            "margins; run the ablation suite"
        )
    return found


def _heat_map(
    axes: "Axes", grid: Grid, change: tuple[str, float, str, int, bool], top: float
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    column, factor, title, decimals, fall_is_better = change
    first, second, y_label, x_label = GRIDS[grid.varied]
    wide = factor * grid.table.pivot(index=first, columns=second, values=column)
    ends = (BETTER, "white", WORSE) if fall_is_better else (WORSE, "white", BETTER)
    colours = LinearSegmentedColormap.from_list("change", ends)
    values = wide.to_numpy()
    axes.imshow(values, cmap=colours, vmin=-top, vmax=top, aspect="auto", origin="lower")
    for (row, place), value in np.ndenumerate(values):
        text = "not run" if math.isnan(value) else signed(value, decimals)
        colour = "white" if abs(value) > 0.75 * top else INK
        axes.text(place, row, text, ha="center", va="center", color=colour, fontsize=6)
    axes.set_xticks(range(wide.shape[1]), [f"{value:g}" for value in wide.columns])
    axes.set_yticks(range(wide.shape[0]), [f"{value:g}" for value in wide.index])
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(f"{grid.title}\n{title}", loc="left")
    for place, row in product(
        np.flatnonzero(wide.columns == DEFAULTS[second]),
        np.flatnonzero(wide.index == DEFAULTS[first]),
    ):
        _mark(axes, int(place), int(row))


def _mark(axes: "Axes", column: int, row: int) -> None:
    from matplotlib.patches import Rectangle

    # White below black is seen on every colour.
    for colour, width in (("white", 3.0), (INK, 1.2)):
        frame = Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False)
        frame.set(edgecolor=colour, linewidth=width)
        axes.add_patch(frame)


def _default_mark() -> Any:
    from matplotlib.patches import Patch

    label = "the paper's default; green is better, vermilion worse"
    return Patch(facecolor="none", edgecolor=INK, linewidth=1.2, label=label)
