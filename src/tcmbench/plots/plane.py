"""All comparisons in the plane of recognition error and OPIS: an arrow from base to +TCM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.plots.curves import cell_title
from tcmbench.plots.style import FULL, GREY, logarithmic, shape, styled, variant_mark
from tcmbench.tables.names import VARIANTS, dataset_title
from tcmbench.tables.reading import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_HEIGHT, FRAME_HEIGHT = 2.2, 0.55
COLUMNS = [
    *("dataset", "scale", "backbone", "loss"),
    *("opis_base", "opis_tcm", "recall_at_1_base", "recall_at_1_tcm"),
]
WIDE = 4.0
X_LABEL = "OPIS (×10⁻³)\n← lower is better"
Y_LABEL = "recognition error 1 − R@1 (%)\n← lower is better"


def draw_plane(frame: "pd.DataFrame") -> "Figure":
    """Draw a panel a dataset, an arrow a comparison; both axes are better to the lower left.

    Args:
        frame: comparisons.csv; R@1 as shares.

    Raises:
        UserError: a column is missing.
    """
    from matplotlib.figure import Figure

    require(frame, COLUMNS)
    cells = list(dict.fromkeys(zip(frame["backbone"], frame["loss"], strict=True)))
    names = [cell_title(*cell) for cell in cells]
    datasets = list(dict.fromkeys(zip(frame["dataset"], frame["scale"], strict=True)))
    columns = min(2, len(datasets))
    rows = -(-len(datasets) // columns)
    with styled():
        size = (FULL * columns / 2, FRAME_HEIGHT + PANEL_HEIGHT * rows)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (dataset, scale) in zip(panels, datasets, strict=False):
            for _, numbers in frame[frame["dataset"] == dataset].iterrows():
                _arrow(axes, numbers, names)
            axes.set_title(dataset_title(dataset, scale), loc="left")
            axes.set_xlabel(X_LABEL)
            axes.set_ylabel(Y_LABEL)
            axes.margins(0.12)
            _widen(axes)
        for axes in panels[len(datasets) :]:
            axes.set_visible(False)
        figure.legend(handles=_handles(names), loc="outside lower center", ncols=3)
    return figure


def _arrow(axes: "Axes", numbers: Any, names: Sequence[str]) -> None:
    marker = shape(names, cell_title(numbers["backbone"], numbers["loss"]))
    ends = [
        (1e3 * numbers[f"opis_{name}"], 100 * (1 - numbers[f"recall_at_1_{name}"]))
        for name in VARIANTS
    ]
    # A gap at the start as well would turn the shortest arrows round.
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 2}
    axes.annotate("", ends[1], ends[0], arrowprops=arrow)
    for variant, end in zip(VARIANTS, ends, strict=True):
        axes.plot(*end, marker=marker, **variant_mark(variant))


def _widen(axes: "Axes") -> None:
    """Make an axis logarithmic where its values span a large factor."""
    for name in ("x", "y"):
        values = [value for line in axes.lines for value in getattr(line, f"get_{name}data")()]
        if min(values) > 0 and max(values) / min(values) > WIDE:
            logarithmic(axes, name)


def _handles(names: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        *(
            Line2D([], [], label=title, marker="o", **variant_mark(variant))
            for variant, title in VARIANTS.items()
        ),
        *(
            Line2D(
                [],
                [],
                label=name,
                **variant_mark("base")
                | {"marker": shape(names, name), "color": GREY, "markersize": 5.5},
            )
            for name in names
        ),
    ]
