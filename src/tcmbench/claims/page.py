"""The claims as a table for people: Markdown, and a page."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from tcmbench.claims.claim import NOT_REPRODUCED, NOT_RUN, REPRODUCED, RULE, WITHIN_NOISE
from tcmbench.tables.cells import signed
from tcmbench.tables.document import document, notes_list, scrolled
from tcmbench.tables.markdown import ESCAPES

TITLE = "What is claimed, and what was found"
HEADER = ("Claim", "Paper", "Ours [95 % interval]", "Verdict", "Why")
# A sign beside the word: no verdict is told by colour alone.
LOOKS = {
    REPRODUCED: ("✓", "better"),
    NOT_REPRODUCED: ("✗", "worse"),
    WITHIN_NOISE: ("≈", "equal"),
    NOT_RUN: ("–", "equal"),
}
DECIMALS = {"comparisons": 0, "%": 1, "points": 1, "ratio": 3, "r": 2}


def markdown(entries: Iterable[dict[str, Any]]) -> str:
    """Return a GitHub table, and below it the rule."""
    rows = [
        "| " + " | ".join(cell.translate(ESCAPES) for cell in cells) + " |"
        for cells in (HEADER, *map(_cells, entries))
    ]
    rows.insert(1, "|" + "---|" * len(HEADER))
    return "\n".join([*rows, "", *(f"- {note.translate(ESCAPES)}" for note in _notes()), ""])


def section(entries: Iterable[dict[str, Any]]) -> str:
    """Return the table and the rule as HTML, to be put into a page."""
    head = "".join(f'<th scope="col" class="left">{escape(title)}</th>' for title in HEADER)
    body = "\n".join(_row(entry) for entry in entries)
    table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f"{scrolled(TITLE, table)}\n{notes_list(_notes())}"


def page(entries: Iterable[dict[str, Any]]) -> str:
    """Return a whole page."""
    return document(TITLE, section(entries))


def _row(entry: dict[str, Any]) -> str:
    claim, paper, _, verdict, why = map(escape, _cells(entry))
    look = LOOKS[entry["verdict"]][1]
    interval = f"<small>{_interval(entry['ours'])}</small>"
    return (
        f'<tr id="claim-{escape(entry["id"])}"><th scope="row" class="text name">{claim}</th>'
        f'<td class="left">{paper}</td><td class="left">{_value(entry["ours"])}{interval}</td>'
        f'<td class="left"><span class="verdict {look}">{verdict}</span></td>'
        f'<td class="text">{why}</td></tr>'
    )


def _cells(entry: dict[str, Any]) -> Sequence[str]:
    return (
        entry["sentence"],
        _value(entry["paper"]),
        f"{_value(entry['ours'])} {_interval(entry['ours'])}".strip(),
        f"{LOOKS[entry['verdict']][0]} {entry['verdict']}",
        entry["why"],
    )


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


def _notes() -> list[str]:
    return [RULE, "Source of the claims: the authors' announcement, as far as it could be read."]
