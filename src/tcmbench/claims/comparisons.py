"""Claims about the sixteen comparisons: how many go which way, and how far."""

from typing import TYPE_CHECKING, Any

from tcmbench.claims.claim import Claim, Finding
from tcmbench.tables.names import backbone_title, dataset_title, row_loss_title

if TYPE_CHECKING:
    import pandas as pd

OPIS_FALLS = Claim(
    "opis-falls",
    "TCM lowers OPIS in 16 of 16 comparisons.",
    16,
    True,
    "comparisons",
    {"value": 16, "of": 16, "unit": "comparisons"},
)
OPIS_LARGEST = Claim(
    "opis-largest-fall",
    "TCM lowers OPIS by up to 77.3 %.",
    -77.3,
    False,
    "%",
    {"value": -77.3, "unit": "%"},
)
RECALL_RISES = Claim(
    "recall-rises",
    "TCM raises R@1 in 14 of 16 comparisons.",
    14,
    True,
    "comparisons",
    {"value": 14, "of": 16, "unit": "comparisons"},
)
RECALL_LARGEST = Claim(
    "recall-largest-rise",
    "The largest rise of R@1 is 3.6 points.",
    3.6,
    True,
    "points",
    {"value": 3.6, "unit": "points"},
)
RECALL_SMALLEST = Claim(
    "recall-largest-fall",
    "R@1 never falls by more than 0.2 points.",
    -0.2,
    True,
    "points",
    {"value": -0.2, "unit": "points"},
)
# What is read of each comparison, beside its name.
NUMBERS = tuple(
    f"{change}{end}"
    for change in ("opis_delta", "opis_delta_percent", "recall_at_1_delta")
    for end in ("", "_low", "_high")
)
# More rows than these are counted and not named.
NAMED = 4


def findings(frame: "pd.DataFrame") -> list[tuple[Claim, Finding]]:
    """Measure the claims on a `comparisons_frame`; an empty one finds nothing."""
    return [
        (OPIS_FALLS, _count(frame, "opis_delta", rising=False)),
        (OPIS_LARGEST, _extreme(frame, "opis_delta_percent", 1, largest=False)),
        (RECALL_RISES, _count(frame, "recall_at_1_delta", rising=True)),
        (RECALL_LARGEST, _extreme(frame, "recall_at_1_delta", 100, largest=True)),
        (RECALL_SMALLEST, _extreme(frame, "recall_at_1_delta", 100, largest=False)),
    ]


def row_title(row: "pd.Series[Any]") -> str:
    """Name a comparison in print."""
    names = dataset_title(row["dataset"], row["scale"]), backbone_title(row["backbone"])
    return " ".join((*names, row_loss_title(row)))


def _count(frame: "pd.DataFrame", column: str, *, rising: bool) -> Finding:
    """Count the rows that go one way; rows whose interval holds 0, or without one, are open."""
    if frame.empty:
        return Finding()
    sign = 1 if rising else -1
    changes, low, high = (
        sign * frame[name].to_numpy(dtype=float)
        for name in (column, f"{column}_low", f"{column}_high")
    )
    # NaN compares false, so a row without an interval is neither.
    shown, opposite = (low > 0) & (high > 0), (low < 0) & (high < 0)
    undecided = frame.loc[~shown & ~opposite]
    return Finding(
        value=int((changes > 0).sum()),
        low=int(shown.sum()),
        high=int((~opposite).sum()),
        n=len(frame),
        detail=_open_rows(undecided),
    )


def _open_rows(rows: "pd.DataFrame") -> str:
    if len(rows) > NAMED:
        return f"open: {len(rows)} rows whose interval holds 0 or is not known"
    names = ", ".join(row_title(row) for _, row in rows.iterrows())
    return f"open: {names}" if names else ""


def _extreme(frame: "pd.DataFrame", column: str, factor: float, *, largest: bool) -> Finding:
    """Find the largest (or smallest) change and the extreme ends of all intervals."""
    known = frame.loc[frame[column].notna().to_numpy()]
    if known.empty:
        return Finding()
    columns = (column, f"{column}_low", f"{column}_high")
    numbers = factor * known.loc[:, list(columns)].to_numpy(dtype=float)
    # NaN wins here: one row without an interval leaves the extreme without one.
    value, low, high = numbers.max(axis=0) if largest else numbers.min(axis=0)
    row = known.iloc[int(numbers[:, 0].argmax() if largest else numbers[:, 0].argmin())]
    return Finding(float(value), float(low), float(high), len(known), f"at {row_title(row)}")
