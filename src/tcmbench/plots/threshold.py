"""One threshold: error rates against the distance, and images of the classes that it fits worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tcmbench.plots.neighbours import read_image
from tcmbench.plots.style import BETTER, FULL, GREY, INK, WORSE, logarithmic, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

RATES_HEIGHT, ROW_HEIGHT = 2.5, 0.78
IMAGES = 6
COLOURS = {"far": WORSE, "frr": BETTER}
TITLES = {"far": "false accept rate", "frr": "false reject rate"}
DASHES = (0, (3, 1.5))


@dataclass(frozen=True)
class RateCurves:
    """Rates at distances [K]: over all pairs [K], and of each class [C, K], NaN where unknown."""

    thresholds: "NDArray[np.float64]"
    overall: "dict[str, NDArray[np.float64]]"
    classes: "dict[str, NDArray[np.float64]]"


@dataclass(frozen=True)
class Worst:
    """A class that the threshold fits badly: what is said of it, and its images."""

    title: str
    images: Sequence[Path]


@dataclass(frozen=True)
class Chosen:
    """The threshold (distance), and the rate that was asked of its target."""

    distance: float
    target: str
    rate: float


def draw_threshold(
    curves: RateCurves,
    chosen: Chosen,
    worst: Sequence[Worst] = (),
    other: tuple[str, RateCurves] | None = None,
) -> "Figure":
    """Draw rates in % on a logarithmic axis, with the band of 5 to 95 % of the classes.

    Args:
        curves: of the embeddings that the threshold was chosen on.
        chosen: the threshold.
        worst: classes whose images are shown below, a row each.
        other: title and rates of other embeddings that it is used on, drawn dashed.

    Raises:
        UserError: an image that cannot be read.
    """
    from matplotlib.figure import Figure

    with styled():
        height = RATES_HEIGHT + (0.25 + ROW_HEIGHT * len(worst) if worst else 0)
        figure = Figure(figsize=(FULL, height), layout="constrained")
        above: Any = figure
        if worst:
            ratios = [RATES_HEIGHT, 0.25 + ROW_HEIGHT * len(worst)]
            parts: Any = figure.subfigures(2, 1, height_ratios=ratios)
            above, below = parts
            _images(below, worst, chosen)
        _rates(above.subplots(), curves, chosen, other)
    return figure


def _rates(
    axes: "Axes", curves: RateCurves, chosen: Chosen, other: tuple[str, RateCurves] | None
) -> None:
    x = curves.thresholds
    lowest = max(100 * chosen.rate / 50, 1e-6)
    for name, title in TITLES.items():
        colour = COLOURS[name]
        low, high = np.nanquantile(100 * curves.classes[name], [0.05, 0.95], axis=0)
        low, high = np.maximum(low, lowest), np.maximum(high, lowest)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        overall = np.maximum(100 * curves.overall[name], lowest)
        axes.plot(x, overall, color=colour, linewidth=1.4, label=f"{title}, all pairs")
        if other is not None:
            there = np.maximum(100 * other[1].overall[name], lowest)
            label = f"{title} on {other[0]}"
            axes.plot(x, there, color=colour, linewidth=1.0, linestyle=DASHES, label=label)
    axes.fill_between([], [], [], color=GREY, alpha=0.3, linewidth=0, label="5 to 95 % of classes")
    label = f"threshold chosen, {chosen.distance:.4f}"
    axes.axvline(chosen.distance, color=INK, linewidth=1.0, label=label)
    asked = f"asked for: {TITLES[chosen.target]} {100 * chosen.rate:g} %"
    axes.axhline(100 * chosen.rate, color=GREY, linewidth=0.8, linestyle=(0, (1, 1)), label=asked)
    logarithmic(axes, "y")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(lowest, 110)
    axes.set_xlabel("threshold: accept a pair at a distance of at most")
    axes.set_ylabel("rate (%)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _images(below: Any, worst: Sequence[Worst], chosen: Chosen) -> None:
    below.suptitle(
        f"classes with the highest {TITLES[chosen.target]} at this threshold", fontsize=7
    )
    grid = below.subplots(len(worst), IMAGES + 1, squeeze=False, width_ratios=[2.6] + [1] * IMAGES)
    for row, one in zip(grid, worst, strict=True):
        for axes in row:
            axes.set_axis_off()
        row[0].text(0, 0.5, one.title, va="center", fontsize=6, transform=row[0].transAxes)
        for axes, path in zip(row[1:], one.images, strict=False):
            axes.imshow(read_image(path), clip_on=False)
