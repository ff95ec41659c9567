"""How the loss fell in training: a panel a run, base beside +TCM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.plots.curves import cell_title
from tcmbench.plots.style import FULL, INK, VARIANT_COLOURS, WORSE, styled
from tcmbench.tables.names import VARIANTS, dataset_title
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT, FRAME_HEIGHT = 1.3, 0.95
# What an epoch's record holds of the loss: label, colour, dashes and width of each line.
TERMS: dict[str, tuple[str, str, Any, float]] = {
    "total": ("total", INK, "-", 1.2),
    "base": ("base loss", VARIANT_COLOURS["base"], (0, (4, 1.5)), 1.0),
    "tcm": ("TCM", VARIANT_COLOURS["tcm"], (0, (1.5, 1)), 1.0),
}


def draw_training(runs: Sequence[MeasuredRun]) -> "Figure":
    """Draw a row a backbone and loss, a column a variant; several seeds lie over one another.

    The axes of a row are the same. Each point is the mean over the steps of one epoch.

    Args:
        runs: of one dataset, in the order of print; what `run.json` says of `epochs` is drawn, and
            that it says nothing where a training of the user's own recorded none.
    """
    from matplotlib.figure import Figure

    cells = list(dict.fromkeys(run.cell for run in runs))
    with styled():
        size = (FULL, FRAME_HEIGHT + ROW_HEIGHT * len(cells))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(cells), 2, sharex="row", sharey="row", squeeze=False)
        for row, cell in zip(panels, cells, strict=True):
            for axes, variant in zip(row, VARIANTS, strict=True):
                chosen = [run for run in runs if run.cell == cell and run.run.variant == variant]
                _panel(axes, chosen)
            # Not before both panels are drawn: a limit once set no longer follows the lines.
            row[0].set_ylim(bottom=min(0.0, row[0].get_ylim()[0]))
            row[0].set_ylabel(f"{cell_title(*cell[1:])}\nloss")
        for axes, title in zip(panels[0], VARIANTS.values(), strict=True):
            axes.set_title(title, loc="left")
        for axes in panels[-1]:
            axes.set_xlabel("epoch")
        seeds = ", ".join(str(seed) for seed in sorted({run.run.seed for run in runs}))
        dataset = dataset_title(runs[0].run.dataset, runs[0].scale)
        figure.suptitle(f"{dataset}: training loss, mean of each epoch (seed {seeds})")
        _legend(figure)
    return figure


def _panel(axes: "Axes", runs: Sequence[MeasuredRun]) -> None:
    from matplotlib.ticker import MaxNLocator

    recorded = [run.record["epochs"] for run in runs if run.record.get("epochs")]
    for epochs in recorded:
        for name, (_, colour, dashes, width) in TERMS.items():
            # Without TCM, the total is the base loss.
            if name in epochs[0] and not (name == "base" and "tcm" not in epochs[0]):
                values = [epoch[name] for epoch in epochs]
                axes.plot(
                    range(1, len(values) + 1),
                    values,
                    color=colour,
                    linestyle=dashes,
                    linewidth=width,
                    marker="." if len(values) == 1 else None,
                )
    if not recorded:
        missing = "no curve recorded" if runs else "not run"
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", color=WORSE)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=width, label=label)
        for label, colour, dashes, width in TERMS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
