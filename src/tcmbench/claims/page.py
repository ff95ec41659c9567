"""The claims as a table for people: Markdown, and a page."""

from collections.abc import Iterable
from typing import Any

from tcmbench import templates
from tcmbench.claims.claim import (
    DOES_NOT_APPLY,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    RULE,
    WITHIN_NOISE,
)
from tcmbench.tables.cells import signed
from tcmbench.tables.markdown import ESCAPES

TITLE = "What is claimed, and what was found"
HEADER = ("Claim", "Paper", "Ours [95 % interval]", "Verdict", "Why")
NOTES = (RULE, "Source of the claims: the authors' announcement, as far as it could be read.")
# A sign beside the word: no verdict is told by colour alone.
LOOKS = {
    REPRODUCED: ("✓", "better"),
    NOT_REPRODUCED: ("✗", "worse"),
    WITHIN_NOISE: ("≈", "equal"),
    NOT_RUN: ("–", "equal"),
    DOES_NOT_APPLY: ("–", "equal"),
}
DECIMALS = {"comparisons": 0, "%": 1, "points": 1, "ratio": 3, "r": 2}


def markdown(entries: Iterable[dict[str, Any]]) -> str:
    """Return a GitHub table, and below it the rule."""
    rows = [
        "| " + " | ".join(cell.translate(ESCAPES) for cell in cells) + " |"
        for cells in (HEADER, *(_cells(_row(entry)) for entry in entries))
    ]
    rows.insert(1, "|" + "---|" * len(HEADER))
    return "\n".join([*rows, "", *(f"- {note.translate(ESCAPES)}" for note in NOTES), ""])


def claims_table(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what the template of the table prints."""
    rows = [_row(entry) for entry in entries]
    return {"title": TITLE, "header": HEADER, "rows": rows, "sentences": NOTES}


def page(entries: Iterable[dict[str, Any]]) -> str:
    """Return a whole page."""
    return templates.html("claims.html", title=TITLE, claims=claims_table(entries))


def _row(entry: dict[str, Any]) -> dict[str, str]:
    sign, look = LOOKS[entry["verdict"]]
    return {
        "id": entry["id"],
        "claim": entry["sentence"],
        "paper": _value(entry["paper"]),
        "ours": _value(entry["ours"]),
        "interval": _interval(entry["ours"]),
        "look": look,
        "verdict": f"{sign} {entry['verdict']}",
        "why": entry["why"],
    }


def _cells(row: dict[str, str]) -> tuple[str, ...]:
    ours = f"{row['ours']} {row['interval']}".strip()
    return row["claim"], row["paper"], ours, row["verdict"], row["why"]


def _value(number: dict[str, Any] | None) -> str:
    """Print a value with its unit."""
    if number is None:
        return ""
    text = _plain(number["value"], number["unit"])
    if number["unit"] == "comparisons":
        return f"{text} of {number.get('of', number.get('n'))}"
    return f"{text} {number['unit']}" if number["unit"] in ("%", "points") else text


def _interval(number: dict[str, Any] | None) -> str:
    ends = number and number["interval"]
    return f"[{', '.join(_plain(end, number['unit']) for end in ends)}]" if number and ends else ""


def _plain(value: float, unit: str) -> str:
    decimals = DECIMALS[unit]
    if unit in ("comparisons", "ratio"):
        return f"{value:.{decimals}f}"
    return signed(value, decimals)
