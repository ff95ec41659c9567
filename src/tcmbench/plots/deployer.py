"""What a deployer sees: error rates of the classes at one global threshold, base beside +TCM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tcmbench.plots.curves import cell_title
from tcmbench.plots.operating import Operating
from tcmbench.plots.style import FULL, GREY, INK, VARIANT_COLOURS, logarithmic, styled
from tcmbench.tables.names import VARIANTS, dataset_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ROW_HEIGHT, FRAME_HEIGHT = 0.62, 1.3
# Rates below this part of the target are drawn at it: a logarithm has no zero.
FLOOR = 0.01


def draw_deployer(pairs: Sequence[tuple[Operating, Operating]]) -> "Figure":
    """Draw a row a backbone and loss: false accept rates left, false reject rates right.

    Every class is a dot; boxes are quartiles with the median, whiskers 5 % and 95 % quantiles.
    """
    from matplotlib.figure import Figure

    first = pairs[0][0]
    with styled():
        size = (FULL, FRAME_HEIGHT + ROW_HEIGHT * len(pairs))
        figure = Figure(figsize=size, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for row, pair in enumerate(pairs):
            for one, shift in zip(pair, (-0.2, 0.2), strict=True):
                _accepts(left, one, row + shift)
                _rejects(right, one, row + shift)
        _frame(left, right, first.target)
        names = [cell_title(base.run.run.backbone, base.run.run.loss) for base, _ in pairs]
        left.set_yticks(range(len(pairs)), names)
        left.set_ylim(len(pairs) - 0.5, -0.5)
        dataset = dataset_title(first.run.run.dataset, first.run.scale)
        figure.suptitle(
            f"{dataset}: each test class at one threshold, set for a false accept rate of "
            f"{100 * first.target:g} % over all pairs (seed {first.run.run.seed})"
        )
        _legend(figure)
    return figure


def _accepts(axes: "Axes", one: Operating, height: float) -> None:
    _spread(axes, one, 100 * np.maximum(one.far, FLOOR * one.target), height)
    text = f"{100 * one.missed:.0f} %"
    axes.annotate(
        text, (1.0, height), xycoords=("axes fraction", "data"), ha="left", va="center", fontsize=6
    )


def _rejects(axes: "Axes", one: Operating, height: float) -> None:
    _spread(axes, one, 100 * one.frr, height)


def _spread(axes: "Axes", one: Operating, values: "NDArray[np.float64]", height: float) -> None:
    colour = VARIANT_COLOURS[one.run.run.variant]
    jitter = np.random.default_rng(0).uniform(-0.14, 0.14, len(values))
    alpha = float(np.clip(60 / len(values), 0.04, 0.5))
    axes.scatter(
        values, height + jitter, s=2, color=colour, alpha=alpha, linewidth=0, rasterized=True
    )
    line = {"color": INK, "linewidth": 0.8}
    axes.boxplot(
        [values],
        positions=[height],
        widths=0.3,
        whis=(5, 95),
        showfliers=False,
        orientation="horizontal",
        manage_ticks=False,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops=line | {"linewidth": 1.6},
    )


def _frame(left: "Axes", right: "Axes", target: float) -> None:
    percent = 100 * target
    logarithmic(left, "x")
    left.set_xlim(left=0.8 * FLOOR * percent)
    left.axvline(percent, color=INK, linewidth=0.8, zorder=0)
    left.axvline(2 * percent, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    left.set_xlabel(
        f"false accept rate of the class (%), {FLOOR * percent:g} and below at the edge"
    )
    head = "> 2×"
    left.annotate(head, (1.0, 1.01), xycoords="axes fraction", ha="left", va="bottom", fontsize=6)
    left.set_title("false accepts: pairs with another class", loc="left")
    right.set_xlabel("false reject rate of the class (%)")
    right.set_title("false rejects: pairs within the class", loc="left")
    right.set_xlim(-2, 102)
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3}
    handles = [
        Line2D([], [], color=VARIANT_COLOURS[variant], label=f"one class, {title}", **dots)
        for variant, title in VARIANTS.items()
    ]
    label = "quartiles; whiskers 5 % and 95 %"
    figure.legend(
        handles=[
            *handles,
            Patch(facecolor="none", edgecolor=INK, label=label),
            Line2D([], [], color=INK, linewidth=0.8, label="target"),
            Line2D(
                [],
                [],
                color=GREY,
                linestyle=(0, (4, 2)),
                label="twice the target (> 2×: share of the classes beyond)",
            ),
        ],
        loc="outside lower center",
        ncols=3,
    )
