"""Per-class utility of embeddings made elsewhere, one panel a file, on the same axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcmbench.plots.curves import Curves
from tcmbench.plots.style import ELSEWHERE, styled
from tcmbench.plots.utility import (
    MANY_CLASSES,
    X_LABEL,
    draw_panel,
    label_frame,
    panel_grid,
    x_limits,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_entries(entries: Sequence[tuple[str, Curves]]) -> "Figure":
    """Draw the classes of each file, given as title and curves."""
    with styled():
        figure, grid = panel_grid(rows=-(-len(entries) // 2))
        limits = x_limits(curves for _, curves in entries)
        axes_of = grid.ravel()
        for axes, (title, curves) in zip(axes_of, entries, strict=False):
            draw_panel(axes, curves, limits, ELSEWHERE)
            axes.set_title(f"{title}\n{curves.summary}", loc="left")
            axes.set_xlabel(X_LABEL)
        for axes in axes_of[len(entries) :]:
            axes.set_visible(False)
        title = "Embeddings made elsewhere: utility of each class"
        many = any(len(curves.utility) > MANY_CLASSES for _, curves in entries)
        label_frame(figure, {"{}": ELSEWHERE}, title, many=many)
    return figure
