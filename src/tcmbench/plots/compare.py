"""Two sets of embeddings side by side: each class's utility, and the intervals of the changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from tcmbench.plots.style import BETTER, FULL, GREY, INK, WORSE, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

HEIGHT = 3.9
COLOURS = {"better": BETTER, "worse": WORSE}
QUANTILE_DASHES = (0, (4, 2))


@dataclass(frozen=True)
class Side:
    """One set: title, and the utility [T, K] of its classes at distances [K]."""

    title: str
    thresholds: "NDArray[np.float64]"
    utility: "NDArray[np.float64]"


@dataclass(frozen=True)
class Interval:
    """The change of a measure, in print units, its 95 % interval, and what that says."""

    title: str
    change: float
    bounds: tuple[float, float] | None
    verdict: str


def draw_compare(sides: Sequence[Side], intervals: Sequence[Interval], verdict: str) -> "Figure":
    """Draw utility curves of both sets on one scale, and below them a panel a measure."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(FULL, HEIGHT), layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=[2.6, 1])
        above, below = parts
        panels = above.subplots(1, 2, sharex=True, sharey=True)
        for axes, side in zip(panels, sides, strict=True):
            _curves(axes, side)
        panels[0].set_ylabel("utility of each class")
        _legend(above)
        for axes, interval in zip(below.subplots(1, len(intervals)), intervals, strict=True):
            _interval(axes, interval)
        figure.suptitle(fill(verdict, 110))
    return figure


def _curves(axes: "Axes", side: Side) -> None:
    x, utility = side.thresholds, side.utility
    alpha = float(np.clip(30 / len(utility), 0.05, 0.5))
    axes.plot(x, utility.T, color=GREY, linewidth=0.4, alpha=alpha, rasterized=len(utility) > 500)
    for edge in np.quantile(utility, [0.1, 0.9], axis=0):
        axes.plot(x, edge, color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES)
    axes.plot(x, utility.mean(axis=0), color=INK, linewidth=1.4)
    axes.set_title(shorten(side.title, 50, placeholder="…"), loc="left")
    axes.set_xlabel("distance threshold, over the file's own calibration range")
    axes.set_ylim(0, 1.01)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    figure.legend(
        handles=[
            Line2D([], [], color=GREY, linewidth=0.6, label="one class"),
            Line2D([], [], color=INK, linewidth=1.4, label="mean of the classes"),
            Line2D([], [], color=INK, linewidth=0.6, linestyle=QUANTILE_DASHES, label="10, 90 %"),
        ],
        loc="outside lower center",
        ncols=3,
    )


def _interval(axes: "Axes", one: Interval) -> None:
    colour = COLOURS.get(one.verdict, INK)
    axes.axvline(0, color=GREY, linewidth=0.6)
    if one.bounds is not None:
        axes.plot(one.bounds, [0, 0], color=colour, linewidth=1.6, solid_capstyle="butt")
    filled = colour if one.verdict in COLOURS else "white"
    axes.plot([one.change], [0], "o", color=colour, markerfacecolor=filled, markersize=5)
    reach = 1.15 * max(map(abs, (one.change, *(one.bounds or ())))) or 1.0
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(f"{one.title}: {one.change:+.3g}", loc="left")
    axes.set_xlabel(f"B − A{'' if one.bounds else ' (too few classes for an interval)'}")
