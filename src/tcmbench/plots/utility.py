"""Per-class utility against the distance threshold: base beside +TCM, on the same axes.

Up to 500 classes are drawn as lines. Of more, the plane is shaded by the share of classes that pass
through each small step of utility: thousands of lines would only show where the extreme ones are.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tcmbench.plots.curves import Curves
from tcmbench.plots.style import FULL, INK, LIGHT, VARIANT_COLOURS, styled
from tcmbench.tables.names import VARIANTS, dataset_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

ROW_HEIGHT, FRAME_HEIGHT = 1.35, 0.85
# Beyond this many, lines hide each other: the share of classes at each utility is drawn instead.
MANY_CLASSES = 500
BINS, COLUMNS = 160, 320
# Share of the classes, within one of BINS steps of utility, that is drawn darkest.
DARKEST = 0.06
# Mean utility below which an end of the axis shows only that nothing, or everything, is accepted.
NOTHING = 0.01
X_LABEL = "distance threshold d (L2, unit-norm embeddings)"
QUANTILES = "10 % and 90 % quantile of the classes"
QUANTILE_DASHES = (0, (4, 2))
Y_LABEL = "utility U(d)\n(F-score of sensitivity and specificity)"


def draw_pairs(pairs: Sequence[tuple[Curves, Curves]]) -> "Figure":
    """Draw one row a backbone and loss: base left, +TCM right."""
    with styled():
        figure, grid = panel_grid(rows=len(pairs))
        limits = x_limits(curves for pair in pairs for curves in pair)
        for axes_row, pair in zip(grid, pairs, strict=True):
            for axes, curves in zip(axes_row, pair, strict=True):
                draw_panel(axes, curves, limits)
            axes_row[0].set_ylabel(pair[0].name)
        for axes, variant in zip(grid[0], VARIANTS.values(), strict=True):
            axes.set_title(f"{variant}\n{axes.get_title(loc='left')}", loc="left")
        for axes in grid[-1]:
            axes.set_xlabel(X_LABEL)
        _frame(figure, pairs[0], "utility of each test class")
    return figure


def draw_variant(pairs: Sequence[tuple[Curves, Curves]], variant: str) -> "Figure":
    """Draw one variant's panels alone, on the axes that both variants share."""
    chosen = [pair[list(VARIANTS).index(variant)] for pair in pairs]
    with styled():
        figure, grid = panel_grid(rows=-(-len(chosen) // 2))
        limits = x_limits(curves for pair in pairs for curves in pair)
        panels = grid.ravel()
        for axes, curves in zip(panels, chosen, strict=False):
            draw_panel(axes, curves, limits)
            axes.set_title(f"{curves.name}\n{curves.summary}", loc="left")
            axes.set_xlabel(X_LABEL)
            axes.label_outer()
        for axes in panels[len(chosen) :]:
            axes.set_visible(False)
        _frame(figure, chosen[:1], f"utility of each test class, {VARIANTS[variant]}")
    return figure


def x_limits(curves: Iterable[Curves]) -> tuple[float, float]:
    """Return limits that hold each calibration range and mean utility above nothing, and more."""
    ends = [_ends(*one.whole) for one in curves]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    margin = 0.08 * (high - low) or 0.01
    return float(low - margin), float(high + margin)


def _ends(thresholds: "Array", utility: "Array") -> "tuple[np.float64, np.float64]":
    """Return the thresholds between which the mean utility is worth the space."""
    (seen,) = np.nonzero(utility.mean(axis=0) > NOTHING)
    # Networks of no use have no such threshold.
    first, last = (seen[0], seen[-1]) if len(seen) else (0, -1)
    return thresholds[first], thresholds[last]


def draw_panel(
    axes: "Axes", curves: Curves, limits: tuple[float, float], colour: str | None = None
) -> None:
    """Draw a run: its classes, their 10 to 90 % band, their mean, the calibration range shaded.

    Without a `colour`, the classes have that of the run's variant.
    """
    x, utility = curves.whole
    colour = colour or VARIANT_COLOURS[curves.run.run.variant]
    ends = curves.thresholds[0], curves.thresholds[-1]
    axes.axvspan(*ends, color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
    if len(utility) > MANY_CLASSES:
        _density(axes, curves, colour, limits)
    else:
        _lines(axes, curves, colour)
    low, high = np.quantile(utility, [0.1, 0.9], axis=0)
    for edge in (low, high):
        axes.plot(x, edge, color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES, zorder=3)
    axes.plot(x, utility.mean(axis=0), color=INK, linewidth=1.4, zorder=3)
    axes.set_title(curves.summary, loc="left")
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1.01)


def _lines(axes: "Axes", curves: Curves, colour: str) -> None:
    from matplotlib.collections import LineCollection

    x, utility = curves.whole
    lines = np.stack([np.broadcast_to(x, utility.shape), utility], axis=2)
    thin = LineCollection(list(lines), linewidths=0.4, colors=colour, zorder=1)
    thin.set_alpha(float(np.clip(30 / len(utility), 0.1, 0.5)))
    axes.add_collection(thin)


def _density(axes: "Axes", curves: Curves, colour: str, limits: tuple[float, float]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    colours = LinearSegmentedColormap.from_list("share", [LIGHT, colour, INK])
    x, utility = curves.whole
    span = max(limits[0], float(x[0])), min(limits[1], float(x[-1]))
    share = shares(x, utility, span)
    axes.imshow(
        np.ma.masked_equal(share, 0),
        extent=(*span, 0, 1),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        norm=PowerNorm(0.5, 0, DARKEST),
        zorder=1,
    )


def shares(thresholds: "Array", utility: "Array", span: tuple[float, float]) -> "Array":
    """Return the share of classes [BINS, COLUMNS] at each utility, bin 0 the lowest.

    A column lies midway between two of as many equal steps over `span`; there the curves [T, K] are
    straight between their thresholds [K].
    """
    classes, points = utility.shape
    at = span[0] + (np.arange(COLUMNS) + 0.5) / COLUMNS * (span[1] - span[0])
    left = np.clip(np.searchsorted(thresholds, at, side="right") - 1, 0, points - 2)
    steps = thresholds[left + 1] - thresholds[left]
    # A range of one point has no steps.
    weight = np.divide(at - thresholds[left], steps, out=np.zeros_like(at), where=steps > 0)
    values = utility[:, left] + weight * (utility[:, left + 1] - utility[:, left])
    rows = np.clip((values * BINS).astype(np.int64), 0, BINS - 1)
    cells = np.bincount((rows * COLUMNS + np.arange(COLUMNS)).ravel(), minlength=BINS * COLUMNS)
    share: Array = cells.reshape(BINS, COLUMNS) / classes
    return share


def panel_grid(rows: int) -> "tuple[Figure, np.ndarray[tuple[int, int], np.dtype[np.object_]]]":
    """Return a figure of `rows` by two panels on the same axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(FULL, FRAME_HEIGHT + ROW_HEIGHT * rows), layout="constrained")
    grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    return figure, grid


def _frame(figure: "Figure", examples: Sequence[Curves], title: str) -> None:
    run = examples[0].run
    dataset = dataset_title(run.run.dataset, run.scale)
    colours = {
        f"{{}}, {VARIANTS[one.run.run.variant]}": VARIANT_COLOURS[one.run.run.variant]
        for one in examples
    }
    many = len(examples[0].utility) > MANY_CLASSES
    label_frame(figure, colours, f"{dataset}: {title} (seed {run.run.seed})", many=many)


def label_frame(figure: "Figure", colours: dict[str, str], title: str, *, many: bool) -> None:
    """Write title, y label and legend around the panels.

    Args:
        figure: with its panels.
        colours: of the classes, by a label with `{}` in place of what one of them is.
        title: above the panels.
        many: shares of the classes are drawn, not one line a class.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure.suptitle(title)
    figure.supylabel(Y_LABEL, fontsize=7, multialignment="center")
    figure.legend(
        handles=[
            *(
                Patch(color=colour, label=label.format("share of the classes, darker is more"))
                if many
                else Line2D([], [], color=colour, linewidth=0.8, label=label.format("one class"))
                for label, colour in colours.items()
            ),
            Line2D([], [], color=INK, linewidth=1.4, label="mean of the classes"),
            Line2D([], [], color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES, label=QUANTILES),
            Patch(color=LIGHT, alpha=0.5, linewidth=0, label="calibration range"),
        ],
        loc="outside lower center",
        ncols=3 if len(colours) > 1 else 4,
    )
