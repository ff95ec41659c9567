"""A claim, what was found, and the one rule that leads from there to a verdict."""

import math
from dataclasses import dataclass
from typing import Any

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
WITHIN_NOISE, NOT_RUN = "within noise", "not run"
ANNOUNCEMENT = (
    'the authors\' announcement, "More reliable nearest-neighbor search with deep metric learning"'
)
RULE = (
    "Each claim is read as a bound on one number. Reproduced: our number and its whole 95 % "
    "interval meet the bound. Not reproduced: the whole interval misses it. Within noise: the "
    "interval reaches both sides, or there is none. Not run: a comparison that the claim needs is "
    "missing, or the data are others. The interval of a count goes from the rows whose own "
    "interval shows the effect to the rows whose interval does not show its opposite; that of a "
    "largest or smallest change goes from the extreme lower to the extreme upper end over all "
    "rows. Both hold if every row's interval holds; they are not corrected for the number of rows."
)


@dataclass(frozen=True)
class Claim:
    """What is claimed: a sentence, and the bound that a measured number has to meet.

    Attributes:
        identity: short name, stable over versions.
        sentence: the claim in words.
        bound: in units of `unit`; None where the claim needs more than one number.
        at_least: the number has to reach `bound`; else it must not exceed it.
        unit: `comparisons`, `%`, `points`, `ratio` or `r`.
        paper: what the source prints: value, unit, and `of` for a share of comparisons.
        source: where it stands.
    """

    identity: str
    sentence: str
    bound: float
    at_least: bool
    unit: str
    paper: dict[str, Any] | None
    source: str = ANNOUNCEMENT


@dataclass(frozen=True)
class Finding:
    """What was measured.

    Attributes:
        value: in units of the claim; NaN where nothing was measured.
        low: lower end of the 95 % interval, or NaN.
        high: upper end.
        n: number of comparisons (or settings) behind it.
        detail: which rows decide, as a clause.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    detail: str = ""


def judge(claim: Claim, finding: Finding) -> str:
    """Return the verdict by `RULE` on a finding that is complete."""
    if any(map(math.isnan, (finding.low, finding.high))):
        return WITHIN_NOISE
    meets = [
        end >= claim.bound if claim.at_least else end <= claim.bound
        for end in (finding.low, finding.value, finding.high)
    ]
    return REPRODUCED if all(meets) else WITHIN_NOISE if any(meets) else NOT_REPRODUCED


def entry(claim: Claim, finding: Finding, obstacle: str) -> dict[str, Any]:
    """Return the claim's entry of claims.json; an `obstacle` is why no verdict is given."""
    verdict = NOT_RUN if obstacle else judge(claim, finding)
    return {
        "id": claim.identity,
        "sentence": claim.sentence,
        "source": claim.source,
        "paper": claim.paper,
        "ours": _ours(claim, finding),
        "verdict": verdict,
        "why": _why(claim, finding, verdict, obstacle),
    }


def _ours(claim: Claim, finding: Finding) -> dict[str, Any] | None:
    if math.isnan(finding.value):
        return None
    known = not any(map(math.isnan, (finding.low, finding.high)))
    return {
        "value": finding.value,
        "unit": claim.unit,
        "interval": [finding.low, finding.high] if known else None,
        "n": finding.n,
    }


def _why(claim: Claim, finding: Finding, verdict: str, obstacle: str) -> str:
    limit = f"{claim.bound:g}".replace("-", "\N{MINUS SIGN}")
    bound = f"{'at least' if claim.at_least else 'at most'} {limit}"
    reasons = {
        REPRODUCED: f"the whole interval is {bound}",
        NOT_REPRODUCED: f"no part of the interval is {bound}",
        WITHIN_NOISE: f"the interval reaches both sides of {limit}",
        NOT_RUN: obstacle,
    }
    reason = reasons[verdict]
    if verdict == WITHIN_NOISE and math.isnan(finding.low):
        reason = "there is no interval for every row"
    return "; ".join(filter(None, [reason, finding.detail]))
