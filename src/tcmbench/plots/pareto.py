"""OPIS against recognition error over losses, backbones and batch sizes, and what TCM changes."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError
from tcmbench.plots.style import (
    FULL,
    GREY,
    INK,
    LIGHT,
    SEEN_THROUGH,
    VARIANT_COLOURS,
    shape,
    styled,
)
from tcmbench.statistics.correlation import MIN_POINTS, Break, Side, find_break, side
from tcmbench.tables.cells import MINUS, signed
from tcmbench.tables.names import (
    VARIANTS,
    backbone_title,
    cell_order,
    dataset_title,
    loss_title,
)
from tcmbench.tables.reading import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = ["dataset", "backbone", "loss"]
SETTING = [*CELL, "scale", "batch_size"]
WIDTH, HEIGHT = FULL / 2, 3.1
# Marker area, in square points, of the largest batch.
LARGEST = 70.0
DASHES = (0, (5, 2))
FILLS = ("full", "open", "hatched")
Looks = dict[str, list[str]]


def draw_pareto(frame: "pd.DataFrame") -> "Figure":
    """Draw a panel a dataset: a shape a loss, a fill a backbone, base and +TCM in their colours.

    Args:
        frame: runs.csv: a row a run with `dataset`, `scale`, `backbone`, `loss`, `variant`,
            `seed`, `batch_size`, `opis` and `recall_at_1` (a share). Seeds are averaged.

    Raises:
        UserError: a column is missing, or there is no run of a base loss.
    """
    from matplotlib.figure import Figure

    points = settings(frame)
    looks = {name: list(dict.fromkeys(points[name])) for name in ("backbone", "loss")}
    datasets = list(dict.fromkeys(zip(points["dataset"], points["scale"], strict=True)))
    with styled():
        figure = Figure(figsize=(max(FULL, WIDTH * len(datasets)), HEIGHT), layout="constrained")
        panels = figure.subplots(1, len(datasets), squeeze=False)[0]
        for axes, (dataset, scale) in zip(panels, datasets, strict=True):
            here = points[points["dataset"] == dataset]
            _marks(axes, here, looks, float(points["batch_size"].max()))
            _lines(axes, here, width=110 if len(datasets) == 1 else 54)
            axes.set_title(dataset_title(dataset, scale), loc="left")
            axes.set_xlabel("OPIS (×10⁻³)\n← lower is better")
        panels[0].set_ylabel("recognition error 1 − R@1 (%)\n← lower is better")
        sizes = sorted(points["batch_size"].unique())
        figure.legend(handles=_handles(looks, sizes), loc="outside right upper")
    return figure


def settings(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Average seeds: a row a setting with `error` (%) and `opis` (×10⁻³) of the base loss.

    `error_tcm` and `opis_tcm` are NaN where the setting was not run with TCM.

    Raises:
        UserError: as `draw_pareto`.
    """
    require(frame, (*SETTING, "variant", "opis", "recall_at_1"))
    means = frame.groupby([*SETTING, "variant"])[["opis", "recall_at_1"]].mean().reset_index()
    means["error"] = 100 * (1 - means["recall_at_1"])
    means["opis"] *= 1e3
    base, tcm = (
        means.loc[means["variant"] == name, [*SETTING, "error", "opis"]] for name in ("base", "tcm")
    )
    if base.empty:
        raise UserError("runs.csv has no run of a base loss with a batch size; add base runs")
    points = base.merge(tcm, how="left", on=SETTING, suffixes=("", "_tcm"))
    cells = [cell_order(*cell) for cell in points[CELL].itertuples(index=False)]
    return points.iloc[sorted(range(len(cells)), key=cells.__getitem__)]


def words(errors: Sequence[float], opis: Sequence[float], found: Break | None) -> str:
    """Say what the correlation of OPIS with the error (%) is on each side of the inflection."""
    if found is None:
        told = f"n = {len(errors)}"
        if len(errors) >= MIN_POINTS:
            told = _correlation(side(errors, opis))
        return f"Too few base models to look for an inflection: {told}."
    verdict = "fit better than" if found.gain > 0 else "fit no better than"
    return (
        f"Inflection at an error of {found.at:.1f} % (95 % of resamples: {found.low:.1f} to "
        f"{found.high:.1f} %); two lines {verdict} one (ΔBIC {signed(found.gain, 1)}). "
        f"Weaker models: {_correlation(found.above)}. Stronger: {_correlation(found.below)}."
    )


def _correlation(one: Side) -> str:
    if math.isnan(one.pearson):
        return f"n = {one.count}, no spread to correlate"
    trend = "no correlation shown"
    if one.low > 0:
        trend = "OPIS and error fall together"
    elif one.high < 0:
        trend = "lower error comes with higher OPIS"
    low, pearson, high = (
        f"{value:.2f}".replace("-", MINUS) for value in (one.low, one.pearson, one.high)
    )
    return f"n = {one.count}, r = {pearson} [{low}, {high}], {trend}"


def _marks(axes: "Axes", points: "pd.DataFrame", looks: Looks, top: float) -> None:
    # Large ones first, so that none hides another.
    for _, one in points.sort_values("batch_size", ascending=False, kind="stable").iterrows():
        look = {"marker": shape(looks["loss"], one["loss"]), "s": LARGEST * one["batch_size"] / top}
        base, tcm = (_fill(looks, one["backbone"], name) for name in VARIANT_COLOURS.values())
        axes.scatter(one["opis"], one["error"], zorder=2, **look, **base)
        if not math.isnan(one["opis_tcm"]):
            ends = [one["opis"], one["opis_tcm"]], [one["error"], one["error_tcm"]]
            axes.plot(*ends, color=GREY, linestyle=":", linewidth=1.0, zorder=1)
            axes.scatter(one["opis_tcm"], one["error_tcm"], zorder=3, **look, **tcm)


def _lines(axes: "Axes", points: "pd.DataFrame", width: int) -> None:
    errors, opis = points["error"].tolist(), points["opis"].tolist()
    found = find_break(errors, opis)
    if found:
        for part in (found.below, found.above):
            low, high = part.x_range
            across = [part.intercept + part.slope * end for end in (low, high)]
            axes.plot(across, [low, high], color=INK, linewidth=1.0, linestyle=DASHES, zorder=0)
        axes.axhspan(found.low, found.high, color=LIGHT, linewidth=0, zorder=-1)
    text = textwrap.fill(words(errors, opis, found), width)
    axes.annotate(text, (0, -0.24), xycoords="axes fraction", va="top", fontsize=6)


def _fill(looks: Looks, backbone: str, colour: str) -> dict[str, Any]:
    """Return how a backbone is filled: the first full, the second open, others hatched."""
    fill = FILLS[min(looks["backbone"].index(backbone), len(FILLS) - 1)]
    return {
        "facecolor": (colour, SEEN_THROUGH) if fill == "full" else "none",
        "edgecolor": colour,
        "hatch": "/////" if fill == "hatched" else None,
        "linewidth": 1.0,
    }


def _handles(looks: Looks, sizes: Sequence[float]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mark: dict[str, Any] = {"linestyle": "none", "color": GREY, "markeredgewidth": 0}
    handles: list[Any] = [
        Patch(color=colour, label=VARIANTS[variant]) for variant, colour in VARIANT_COLOURS.items()
    ]
    handles += [
        Line2D([], [], marker=shape(looks["loss"], loss), label=loss_title(loss), **mark)
        for loss in looks["loss"]
    ]
    handles += [
        Patch(label=backbone_title(name), **_fill(looks, name, GREY)) for name in looks["backbone"]
    ]
    for size in dict.fromkeys((sizes[0], sizes[-1])):
        diameter = math.sqrt(LARGEST * size / sizes[-1])
        label = f"batch of {size:g}"
        handles.append(Line2D([], [], marker="o", markersize=diameter, label=label, **mark))
    return [
        *handles,
        Line2D([], [], color=GREY, linestyle=":", label="from a base loss to the same with TCM"),
        Line2D([], [], color=INK, linestyle=DASHES, label="least squares on each side"),
        Patch(color=LIGHT, label="inflection, 95 % of resamples"),
    ]
