"""The printed table as text cells, before any markup: rounding, signs, arrows, verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcmbench.tables.names import backbone_title, dataset_title, row_loss_title
from tcmbench.tables.runs import MEASURED

if TYPE_CHECKING:
    import pandas as pd

MINUS = "\N{MINUS SIGN}"
UP, DOWN = "↑", "↓"
SIGNIFICANT = 3
# Columns that a metric may have beyond base, +TCM and change.
RELATIVE, PUBLISHED, PAPER = "relative", "published†", "paper‡"


@dataclass(frozen=True)
class Metric:
    """How one metric is printed: value · factor, rounded to `decimals`."""

    key: str
    title: str
    unit: str
    factor: float
    decimals: int
    lower_is_better: bool
    extras: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Titles of its columns."""
        return ("base", "+TCM", "change", *self.extras)

    @property
    def width(self) -> int:
        """Number of its columns."""
        return len(self.columns)

    @property
    def heading(self) -> str:
        """Name, unit and the direction that is better."""
        return f"{self.title} ({self.unit}) {DOWN if self.lower_is_better else UP}"


@dataclass(frozen=True)
class Change:
    """A signed difference; `verdict` is `better`, `worse`, or `equal` where it prints as zero.

    `unsure` says that its interval is known and holds 0.
    """

    number: str
    arrow: str
    verdict: str
    interval: str = ""
    unsure: bool = False

    @property
    def text(self) -> str:
        """Number and arrow, such as "−0.42 ↓"."""
        return f"{self.number} {self.arrow}".rstrip()


@dataclass(frozen=True)
class Cells:
    """One metric of one comparison."""

    base: str
    tcm: str
    change: Change
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One comparison: three names, `seeds` (how many, kind of interval), each metric's cells."""

    dataset: str
    backbone: str
    loss: str
    seeds: str
    cells: tuple[Cells, ...]


def printed_metrics(frame: "pd.DataFrame") -> tuple[Metric, Metric, Metric]:
    """Choose the decimals of R@1 (one, in %), OPIS and ε-OPIS (three significant digits).

    Args:
        frame: as made by `comparisons_frame`.
    """
    thousandth = "×10⁻³"
    epsilon = float(frame["epsilon"].iloc[0])
    opis = _decimals(1e3 * frame["opis_base"])
    epsilon_opis = _decimals(1e3 * frame["epsilon_opis_base"])
    paper = (PAPER,) if f"paper_{MEASURED[0]}_tcm" in frame else ()
    published = (PUBLISHED,) if "published_recall_at_1" in frame else ()
    worst = f"{100 * epsilon:g}%-OPIS"
    return (
        Metric("recall_at_1", "R@1", "%", 100, 1, False, (*published, *paper)),
        Metric("opis", "OPIS", thousandth, 1e3, opis, True, (RELATIVE, *paper)),
        Metric("epsilon_opis", worst, thousandth, 1e3, epsilon_opis, True, paper),
    )


def printed_lines(frame: "pd.DataFrame", metrics: Sequence[Metric]) -> list[Line]:
    """Turn each row of a `comparisons_frame` into text."""
    return [
        Line(
            dataset_title(row["dataset"], row["scale"]),
            backbone_title(row["backbone"]),
            row_loss_title(row),
            f"n = {row['n_seeds']}, {row['interval']}",
            tuple(_cells(row, metric) for metric in metrics),
        )
        for _, row in frame.iterrows()
    ]


def signed(value: float, decimals: int) -> str:
    """Print with a sign and a true minus; what rounds to zero has neither."""
    rounded = round(value, decimals)
    if rounded == 0:
        return f"{0:.{decimals}f}"
    return f"{rounded:+.{decimals}f}".replace("-", MINUS)


def change(metric: Metric, delta: float, low: float = math.nan, high: float = math.nan) -> Change:
    """Describe a difference in the units of its table column; NaN bounds are not known."""
    scaled = round(delta * metric.factor, metric.decimals)
    arrow = UP if scaled > 0 else DOWN if scaled < 0 else ""
    verdict = "equal" if scaled == 0 else "better"
    if scaled and (scaled > 0) == metric.lower_is_better:
        verdict = "worse"
    bounds = [signed(bound * metric.factor, metric.decimals) for bound in (low, high)]
    interval = "" if math.isnan(low) else f"[{bounds[0]}, {bounds[1]}]"
    return Change(
        signed(scaled, metric.decimals), arrow, verdict, interval, unsure=low <= 0 <= high
    )


def _cells(row: "pd.Series[float]", metric: Metric) -> Cells:
    base, tcm, delta, low, high = (
        float(row[f"{metric.key}_{part}"])
        for part in ("base", "tcm", "delta", "delta_low", "delta_high")
    )
    return Cells(
        _plain(metric, base),
        _plain(metric, tcm),
        change(metric, delta, low, high),
        tuple(_extra(row, metric, title) for title in metric.extras),
    )


def _extra(row: "pd.Series[float]", metric: Metric, title: str) -> str:
    """Print a cell that may be empty."""
    if title == RELATIVE:
        percent = float(row[f"{metric.key}_delta_percent"])
        return "" if math.isnan(percent) else f"{signed(percent, 1)} %"
    if title == PUBLISHED:
        return _plain(metric, float(row["published_recall_at_1"]))
    tcm, delta = (float(row[f"paper_{metric.key}_{part}"]) for part in ("tcm", "delta"))
    known = "" if math.isnan(delta) else f"({signed(delta * metric.factor, metric.decimals)})"
    return f"{_plain(metric, tcm)} {known}".strip()


def _plain(metric: Metric, value: float) -> str:
    return "" if math.isnan(value) else f"{value * metric.factor:.{metric.decimals}f}"


def _decimals(scaled: "pd.Series[float]") -> int:
    """Decimals that give the median value three significant digits."""
    median = float(scaled.median())
    if not median > 0:
        return SIGNIFICANT
    return max(0, SIGNIFICANT - 1 - math.floor(math.log10(median)))
