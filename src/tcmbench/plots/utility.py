"""Per-class utility against the distance threshold: base beside +TCM, on the same axes."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcmbench.plots.curves import Curves
from tcmbench.plots.style import FULL, INK, LIGHT, VARIANT_COLOURS, styled
from tcmbench.tables.names import VARIANTS, dataset_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT, FRAME_HEIGHT = 1.35, 0.85
# Beyond this many curves, vector files would be slow to open.
MANY_CLASSES = 500
X_LABEL = "distance threshold d (L2, unit-norm embeddings)"
QUANTILES = "10 % and 90 % quantile of the classes"
QUANTILE_DASHES = (0, (4, 2))
Y_LABEL = "utility U(d)\n(F-score of sensitivity and specificity)"


def draw_pairs(pairs: Sequence[tuple[Curves, Curves]]) -> "Figure":
    """Draw one row a backbone and loss: base left, +TCM right."""
    with styled():
        figure, grid = _grid(rows=len(pairs))
        limits = x_limits(curves for pair in pairs for curves in pair)
        for axes_row, pair in zip(grid, pairs, strict=True):
            for axes, curves in zip(axes_row, pair, strict=True):
                draw_panel(axes, curves, limits)
            axes_row[0].set_ylabel(pair[0].name)
        for axes, variant in zip(grid[0], VARIANTS.values(), strict=True):
            axes.set_title(f"{variant}\n{axes.get_title(loc='left')}", loc="left")
        for axes in grid[-1]:
            axes.set_xlabel(X_LABEL)
        _frame(figure, pairs[0][0], "utility of each test class")
    return figure


def draw_variant(pairs: Sequence[tuple[Curves, Curves]], variant: str) -> "Figure":
    """Draw one variant's panels alone, on the axes that both variants share."""
    chosen = [pair[list(VARIANTS).index(variant)] for pair in pairs]
    with styled():
        figure, grid = _grid(rows=-(-len(chosen) // 2))
        limits = x_limits(curves for pair in pairs for curves in pair)
        panels = grid.ravel()
        for axes, curves in zip(panels, chosen, strict=False):
            draw_panel(axes, curves, limits)
            axes.set_title(f"{curves.name}\n{curves.summary}", loc="left")
            axes.set_xlabel(X_LABEL)
            axes.label_outer()
        for axes in panels[len(chosen) :]:
            axes.set_visible(False)
        _frame(figure, chosen[0], f"utility of each test class, {VARIANTS[variant]}")
    return figure


def x_limits(curves: Iterable[Curves]) -> tuple[float, float]:
    """Return limits that hold every calibration range, with a margin on both sides."""
    ends = [(one.thresholds[0], one.thresholds[-1]) for one in curves]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    margin = 0.08 * (high - low) or 0.01
    return float(low - margin), float(high + margin)


def draw_panel(axes: "Axes", curves: Curves, limits: tuple[float, float]) -> None:
    """Draw a run: every class thin, their 10 to 90 % band, their mean, the range shaded."""
    from matplotlib.collections import LineCollection

    x, utility = curves.thresholds, curves.utility
    colour = VARIANT_COLOURS[curves.run.run.variant]
    axes.axvspan(x[0], x[-1], color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
    count = len(utility)
    lines = np.stack([np.broadcast_to(x, utility.shape), utility], axis=2)
    thin = LineCollection(list(lines), linewidths=0.4, colors=colour, zorder=1)
    thin.set_alpha(float(np.clip(30 / count, 0.03, 0.5)))
    thin.set_rasterized(count > MANY_CLASSES)
    axes.add_collection(thin)
    low, high = np.quantile(utility, [0.1, 0.9], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    for edge in (low, high):
        axes.plot(x, edge, color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES, zorder=3)
    axes.plot(x, utility.mean(axis=0), color=INK, linewidth=1.4, zorder=3)
    axes.set_title(curves.summary, loc="left")
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1.01)


def _grid(rows: int) -> "tuple[Figure, np.ndarray[tuple[int, int], np.dtype[np.object_]]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(FULL, FRAME_HEIGHT + ROW_HEIGHT * rows), layout="constrained")
    grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    return figure, grid


def _frame(figure: "Figure", curves: Curves, title: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    run = curves.run
    dataset = dataset_title(run.run.dataset, run.scale)
    figure.suptitle(f"{dataset}: {title} (seed {run.run.seed})")
    figure.supylabel(Y_LABEL, fontsize=7, multialignment="center")
    figure.legend(
        handles=[
            Line2D([], [], color="black", linewidth=0.4, alpha=0.5, label="one class"),
            Line2D([], [], color=INK, linewidth=1.4, label="mean of the classes"),
            Line2D([], [], color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES, label=QUANTILES),
            Patch(color=LIGHT, alpha=0.5, linewidth=0, label="calibration range"),
        ],
        loc="outside lower center",
        ncols=4,
    )
