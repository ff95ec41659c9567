"""How the loss fell in training: a panel a run, base beside +TCM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.plots.curves import cell_title
from tcmbench.plots.style import FULL, GREY, VARIANT_COLOURS, WORSE, styled
from tcmbench.tables.names import VARIANTS, dataset_title
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT, FRAME_HEIGHT = 1.3, 0.95
# What an epoch's record holds beside the total with TCM: label and dashes of each term.
TERMS: dict[str, tuple[str, Any]] = {
    "base": ("of it, the base loss", (0, (4, 1.5))),
    "tcm": ("of it, TCM", (0, (1.5, 1))),
}
TOTAL, TERM = 1.2, 0.9


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

    for run in runs:
        epochs = run.record.get("epochs") or []
        # Without TCM, the total is the base loss.
        terms = TERMS if epochs and "tcm" in epochs[0] else {}
        look: dict[str, Any] = {"marker": "." if len(epochs) == 1 else None}
        steps = range(1, len(epochs) + 1)
        for name, (_, dashes) in terms.items():
            values = [epoch[name] for epoch in epochs]
            axes.plot(steps, values, color=GREY, linestyle=dashes, linewidth=TERM, **look)
        colour = VARIANT_COLOURS[run.run.variant]
        axes.plot(steps, [one["total"] for one in epochs], color=colour, linewidth=TOTAL, **look)
    if not any(run.record.get("epochs") for run in runs):
        missing = "no curve recorded" if runs else "not run"
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", color=WORSE)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=VARIANT_COLOURS[variant], linewidth=TOTAL, label=f"total, {title}")
        for variant, title in VARIANTS.items()
    ]
    handles += [
        Line2D([], [], color=GREY, linestyle=dashes, linewidth=TERM, label=label)
        for label, dashes in TERMS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
