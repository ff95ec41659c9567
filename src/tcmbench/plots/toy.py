"""Two-dimensional embeddings on the circle: base beside +TCM."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.plots.angles import GRID, density, mean_direction, overlap
from tcmbench.plots.embedded import Embedded
from tcmbench.plots.style import FULL, GREY, INK, VARIANT_COLOURS, styled
from tcmbench.tables.names import VARIANTS, dataset_title, loss_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HEIGHT = 4.1
# Height of the highest density in either panel, and of the labels beyond the densities.
TALLEST, LABELS = 0.5, 0.13
# Shares of the highest density below this are not drawn: a class ends there.
VISIBLE = 0.01


@dataclass(frozen=True)
class Arc:
    """One class on the circle: its label, mean direction (radians) and density at `GRID`."""

    label: int
    centre: float
    density: "Array"
    angles: "Array"


def draw_toy(base: Embedded, tcm: Embedded) -> "Figure":
    """Draw a panel a run: an arrow to each class's mean direction, its density outside the circle.

    Densities have one scale in both panels. Below each panel stand the mean and the largest overlap
    coefficient of classes whose centres are neighbours on the circle.

    Raises:
        UserError: embeddings that are not two-dimensional, or of one class alone.
    """
    from matplotlib.figure import Figure

    panels = [arcs(one) for one in (base, tcm)]
    top = max(float(arc.density.max()) for panel in panels for arc in panel)
    with styled():
        figure = Figure(figsize=(FULL, HEIGHT), layout="constrained")
        for axes, panel, one in zip(figure.subplots(1, 2), panels, (base, tcm), strict=True):
            variant = one.run.run.variant
            for arc in panel:
                _draw_arc(axes, arc, top, VARIANT_COLOURS[variant])
            _frame(axes)
            axes.set_title(VARIANTS[variant])
            axes.set_xlabel(words(panel))
        run = base.run
        dataset = dataset_title(run.run.dataset, run.scale)
        loss = loss_title(run.run.loss)
        figure.suptitle(f"{dataset}, {loss}: embeddings in two dimensions (seed {run.run.seed})")
    return figure


def arcs(embedded: Embedded) -> list[Arc]:
    """Return the classes in the order of their centres around the circle.

    Raises:
        UserError: as `draw_toy`.
    """
    if embedded.stored.shape[1] != 2:
        raise UserError(
            f"{embedded.run.folder} has embeddings of {embedded.stored.shape[1]} dimensions; the "
            "circle needs 2: train with embedding_size 2"
        )
    angles = np.arctan2(embedded.stored[:, 1], embedded.stored[:, 0], dtype=np.float64)
    found = []
    for label in np.unique(embedded.labels):
        own = angles[embedded.labels == label]
        found.append(Arc(int(label), mean_direction(own), density(own), own))
    if len(found) < 2:
        raise UserError(f"{embedded.run.folder} has one class alone; embed two or more")
    return sorted(found, key=lambda arc: arc.centre)


def overlaps(panel: Sequence[Arc]) -> list[tuple[float, int, int]]:
    """Return the overlap of each two neighbours on the circle, and their labels, largest first."""
    around = panel if len(panel) == 2 else [*panel, panel[0]]
    found = [
        (
            overlap(one.density, other.density),
            min(one.label, other.label),
            max(one.label, other.label),
        )
        for one, other in pairwise(around)
    ]
    return sorted(found, key=lambda entry: (-entry[0], entry[1:]))


def words(panel: Sequence[Arc]) -> str:
    """Say how much neighbouring classes overlap."""
    found = overlaps(panel)
    mean = sum(entry[0] for entry in found) / len(found)
    largest, one, other = found[0]
    return (
        f"overlap of neighbouring classes: mean {mean:.3f},\n"
        f"largest {largest:.3f} (classes {one} and {other})"
    )


def _draw_arc(axes: "Axes", arc: Arc, top: float, colour: str) -> None:
    from matplotlib.collections import LineCollection

    spokes = np.stack([np.cos(arc.angles), np.sin(arc.angles)], axis=1)
    ticks = LineCollection(list(np.stack([0.94 * spokes, spokes], axis=1)), colors=colour)
    ticks.set_linewidth(0.3)
    ticks.set_alpha(0.3)
    # Thousands of embeddings would make a vector file slow to open.
    ticks.set_rasterized(True)
    axes.add_collection(ticks)
    height = np.where(arc.density > VISIBLE * top, TALLEST * arc.density / top, 0)
    # Cut opposite the centre, where a class has least, so that the band closes on itself.
    turn = GRID + arc.centre - np.pi
    outer = 1 + np.interp(turn % (2 * np.pi), GRID, height, period=2 * np.pi)
    # A class with strays has several bands; nothing is drawn between them.
    shown = np.flatnonzero(outer > 1)
    for band in np.split(shown, np.flatnonzero(np.diff(shown) > 1) + 1):
        edge = np.append(turn[band], turn[band[::-1]]), np.append(outer[band], np.ones(len(band)))
        axes.fill(*_at(*edge), facecolor=colour, alpha=0.35, linewidth=0, zorder=2)
        axes.plot(*_at(turn[band], outer[band]), color=colour, linewidth=0.7)
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    x, y = _at(np.array([arc.centre]), np.array([0.94]))
    axes.annotate("", (float(x[0]), float(y[0])), (0, 0), arrowprops=arrow)
    x, y = _at(np.array([arc.centre]), np.array([1 + height.max() + LABELS]))
    axes.text(float(x[0]), float(y[0]), str(arc.label), ha="center", va="center")


def _at(angle: "Array", radius: "Array") -> "tuple[Array, Array]":
    return radius * np.cos(angle), radius * np.sin(angle)


def _frame(axes: "Axes") -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=GREY, linewidth=0.6))
    reach = 1 + TALLEST + LABELS + 0.05
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
