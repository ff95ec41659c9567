"""What all rows of a table say together: in how many a change is sure, and its mean over them."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tcmbench.statistics import paired_t_interval

if TYPE_CHECKING:
    import pandas as pd

# Column, title, whether the change is relative (of a positive score) or in percentage points.
METRICS = (
    ("opis", "OPIS", True),
    ("epsilon_opis", "{}%-OPIS", True),
    ("recall_at_1", "R@1", False),
)
FEWEST = 3
COMPARISON = ["dataset", "backbone", "loss"]
MIXED = (
    " With as many seeds in every row this is the estimate of a mixed model with a random effect "
    "of the row."
)


def overall(frame: "pd.DataFrame") -> list[str]:
    """Say in sentences in how many rows an interval leaves 0 out, and the mean over the rows.

    The mean counts every row once, of OPIS and ε-OPIS in logarithms, and its 95 % t-interval is
    over the rows: where all have the same number of seeds, both are those of a mixed model with a
    fixed mean and a random effect of the row, whatever the spread between and within rows.

    Args:
        frame: a `comparisons_frame`.

    Returns:
        Nothing for fewer than three rows, and where one comparison has several, of swept settings.
    """
    if len(frame) < FEWEST or frame.duplicated(COMPARISON).any():
        return []
    worst = f"{100 * frame['epsilon'].iloc[0]:g}"
    metrics = [(key, title.format(worst), relative) for key, title, relative in METRICS]
    counted = [_counted(frame, key, title) for key, title, _ in metrics]
    means = list(_means(frame, metrics))
    found = [f"Of {len(frame)} rows: {'; '.join(counted)}."]
    if means:
        mixed = MIXED if frame["n_seeds"].nunique() == 1 else ""
        found.append(
            f"Mean over the rows, each counted once, with its 95 % t-interval over them: "
            f"{', '.join(means)}.{mixed} Rows share test images and seeds and are less independent "
            "than it takes them for."
        )
    return found


def _counted(frame: "pd.DataFrame", key: str, title: str) -> str:
    low, high = frame[f"{key}_delta_low"], frame[f"{key}_delta_high"]
    below, above = int((high < 0).sum()), int((low > 0).sum())
    known = int((low.notna() & high.notna()).sum())
    unknown = f", has no interval in {len(frame) - known}" if known < len(frame) else ""
    return (
        f"the interval of the change of {title} is below 0 in {below}, above 0 in {above}, holds 0 "
        f"in {known - below - above}{unknown}"
    )


def _means(frame: "pd.DataFrame", metrics: list[tuple[str, str, bool]]) -> Iterator[str]:
    for key, title, relative in metrics:
        base, tcm = (frame[f"{key}_{end}"].to_list() for end in ("base", "tcm"))
        if relative and min(*base, *tcm) <= 0:
            continue
        changes = [
            math.log(after / before) if relative else 100 * (after - before)
            for before, after in zip(base, tcm, strict=True)
        ]
        values = (sum(changes) / len(changes), *paired_t_interval(changes))
        shown = [100 * math.expm1(value) if relative else value for value in values]
        mean, low, high = (f"{value:+.1f}".replace("-", "\N{MINUS SIGN}") for value in shown)
        yield f"{title} {mean} {'%' if relative else 'points'} [{low}, {high}]"
