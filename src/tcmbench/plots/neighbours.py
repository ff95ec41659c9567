"""Queries and their neighbours inside the one global threshold: base beside +TCM."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.plots.curves import Curves, cell_title
from tcmbench.plots.embedded import Embedded, read_embedded
from tcmbench.plots.search import Found, picked_classes, search
from tcmbench.plots.style import BETTER, FULL, WORSE, styled
from tcmbench.tables.names import VARIANTS, dataset_title
from tcmbench.tables.per_class import read_utility
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SHOWN = 5
ROW_HEIGHT, FRAME_HEIGHT = 0.74, 0.85
# Side of a drawn image, pixels.
PIXELS = 96


@dataclass(frozen=True)
class Row:
    """One query: its class, its image, and what each variant finds for it."""

    label: int
    path: str
    found: tuple[Found, Found]


@dataclass(frozen=True)
class Neighbours:
    """Two runs on the same test images, and the queries to look at."""

    embedded: tuple[Embedded, Embedded]
    rows: list[Row]


def read_neighbours(base: MeasuredRun, tcm: MeasuredRun) -> Neighbours:
    """Search the neighbours of the picked queries, inside d_min of each run.

    Classes are those of `picked_classes` on the base run; the query is the first image of a class
    in the order of the manifest.

    Raises:
        UserError: a missing or damaged file, or runs of different test images.
    """
    both = read_embedded(base), read_embedded(tcm)
    if not np.array_equal(both[0].paths, both[1].paths):
        raise UserError(f"{base.folder} and {tcm.folder} embed different images; embed them alike")
    thresholds, classes, (utility,) = read_utility(base, ["utility"])
    curves = Curves(base, thresholds, utility)
    rows = []
    for label in picked_classes(curves, classes):
        query = int(np.flatnonzero(both[0].labels == label)[0])
        found = [search(one, query, float(one.run.metrics["d_min"])) for one in both]
        rows.append(Row(label, str(both[0].paths[query]), (found[0], found[1])))
    return Neighbours(both, rows)


def draw_neighbours(
    neighbours: Neighbours, images: Path, names: Mapping[int, str] | None = None
) -> "Figure":
    """Draw a row a query: it, then its nearest images inside the threshold of base and of +TCM.

    Args:
        neighbours: as read by `read_neighbours`.
        images: folder that the paths of the embeddings are relative to.
        names: of the classes, by label; one without a name is called by its label.

    Raises:
        UserError: an image that cannot be read.
    """
    from matplotlib.figure import Figure

    run = neighbours.embedded[0].run
    with styled():
        size = (FULL, FRAME_HEIGHT + ROW_HEIGHT * len(neighbours.rows))
        figure = Figure(figsize=size, layout="constrained")
        blocks: Any = figure.subfigures(1, 3, width_ratios=[1.1, SHOWN, SHOWN])
        grids = [
            block.subplots(len(neighbours.rows), columns, squeeze=False)
            for block, columns in zip(blocks, (1, SHOWN, SHOWN), strict=True)
        ]
        for axes in (axes for grid in grids for axes in grid.ravel()):
            axes.set_axis_off()
        blocks[0].suptitle("query", fontsize=7)
        for (axes,), row in zip(grids[0], neighbours.rows, strict=True):
            _image(axes, images / row.path)
            axes.set_title(class_title(row.label, names or {}), fontsize=5.5, pad=2)
        for index, embedded in enumerate(neighbours.embedded):
            blocks[index + 1].suptitle(_heading(embedded.run), fontsize=7)
            for panels, row in zip(grids[index + 1], neighbours.rows, strict=True):
                _found(panels, row.found[index], embedded, images)
        dataset = dataset_title(run.run.dataset, run.scale)
        title = cell_title(run.run.backbone, run.run.loss)
        figure.suptitle(f"{dataset}, {title} (seed {run.run.seed})")
    return figure


def _heading(run: MeasuredRun) -> str:
    title, d_min = VARIANTS[run.run.variant], run.metrics["d_min"]
    return f"{title}: nearest images at a distance of at most {d_min:.3f}"


def class_title(label: int, names: Mapping[int, str]) -> str:
    """Return a class's name without number and underscores, such as CUB's "051.Horned_Puffin"."""
    name = re.sub(r"^\d+\.(?=.)", "", names.get(label, "")).replace("_", " ").strip()
    return "\n".join(textwrap.wrap(name, 20, max_lines=2, placeholder=" …")) or f"class {label}"


def _found(panels: "Sequence[Axes]", found: Found, embedded: Embedded, images: Path) -> None:
    right, hidden = int(found.right.sum()), int((~found.right[SHOWN:]).sum())
    counts = f"{right} of {found.of_class} right inside, {len(found.rows) - right} wrong"
    counts += f", {hidden} of these not shown" if hidden else ""
    # The words reach over all panels: only their height counts in the arrangement.
    panels[0].set_title(" ", fontsize=5.5, pad=2)
    above: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    panels[0].annotate(counts, (0, 1), (0, 2), fontsize=5.5, **above).set_in_layout(False)
    for axes, row, same in zip(panels, found.rows, found.right, strict=False):
        _image(axes, images / str(embedded.paths[row]))
        _verdict(axes, bool(same))


def _image(axes: "Axes", path: Path) -> None:
    # The name of a clip path inside a subfigure is no function of its content.
    axes.imshow(read_image(path), extent=(0, 1, 0, 1), clip_on=False)
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(-0.06, 1.06)


def _verdict(axes: "Axes", right: bool) -> None:
    from matplotlib.patches import Rectangle

    colour, dashes, mark = (BETTER, "-", "✓") if right else (WORSE, (0, (2, 1)), "✗")
    frame = Rectangle((0, 0), 1, 1, fill=False, clip_on=False)
    frame.set(edgecolor=colour, linestyle=dashes, linewidth=1.6)
    axes.add_patch(frame)
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axes.text(
        0.97, 0.04, mark, ha="right", va="bottom", color=colour, fontsize=6, weight="bold", bbox=box
    )


def read_image(path: Path) -> "NDArray[np.uint8]":
    """Return the middle square of an image as [PIXELS, PIXELS, 3].

    Raises:
        UserError: the image is missing or damaged.
    """
    from PIL import ImageOps

    from tcmbench.images.pictures import UnreadableError, open_rgb

    try:
        image = open_rgb(path)
    except UnreadableError as error:
        raise UserError(f"{path} cannot be shown ({error}); check --images") from None
    return np.asarray(ImageOps.fit(image, (PIXELS, PIXELS)))
