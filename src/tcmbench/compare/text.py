"""A comparison in words: a table, and one sentence."""

from collections.abc import Iterator

from tcmbench.compare.differences import BETTER, OPEN, UNKNOWN, WORSE, Comparison, Difference

INTERVALS = (
    "Brackets: 95 % class-bootstrap intervals. They say how the difference would vary with other "
    "classes of the same kind, not with another training."
)
# What is printed: the factor of a measure, and its unit.
SHOWN = {"recall_at_1": (100, "%"), "opis": (1e3, "x 10^-3"), "epsilon_opis": (1e3, "x 10^-3")}


def titles(found: Comparison) -> dict[str, str]:
    """Return how the measures are called in print."""
    worst = f"{100 * found.epsilon:g}%-OPIS"
    return {"recall_at_1": "R@1", "opis": "OPIS", "epsilon_opis": worst}


def text(found: Comparison, first: str, second: str) -> str:
    """Return a table and the verdict; `first` and `second` are called so in print."""
    return "\n".join(_lines(found, first, second)) + "\n"


def verdict(found: Comparison, first: str, second: str) -> str:
    """Return one sentence on what can be said of the second against the first."""
    named = titles(found)
    groups = {
        kind: [named[name] for name, one in found.differences.items() if one.verdict == kind]
        for kind in (BETTER, WORSE, OPEN, UNKNOWN)
    }
    if groups[UNKNOWN]:
        return (
            f"Nothing can be said of {second} against {first}: {found.num_classes} classes are too "
            "few for an interval."
        )
    parts = [
        f"{kind} than {first} in {_listed(groups[kind])}"
        for kind in (BETTER, WORSE)
        if groups[kind]
    ]
    if not parts:
        return (
            f"{second} does not differ from {first} in {_listed(groups[OPEN])} by more than other "
            "classes of the same kind would show: each interval holds 0."
        )
    rest = (
        f", and in {_listed(groups[OPEN])} not different beyond what other classes would show"
        if groups[OPEN]
        else ""
    )
    return f"{second} is {' and '.join(parts)}{rest}."


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _lines(found: Comparison, first: str, second: str) -> Iterator[str]:
    yield f"A  {first}"
    yield f"B  {second}"
    yield f"{found.num_images:,} images of {found.num_classes:,} classes"
    yield ""
    yield f"{'':<20}{'A':>10}{'B':>10}{'B - A':>10}"
    for name, title in titles(found).items():
        one, (factor, unit) = found.differences[name], SHOWN[name]
        numbers = (
            f"{factor * one.first:>10.4g}{factor * one.second:>10.4g}{factor * one.change:>+10.3g}"
        )
        yield f"{f'{title} ({unit})':<20}{numbers}  {_bracket(one, factor)}".rstrip()
    yield ""
    yield verdict(found, "A", "B")
    yield INTERVALS


def _bracket(one: Difference, factor: float) -> str:
    if one.interval is None:
        return ""
    return "[" + ", ".join(f"{factor * end:+.3g}" for end in one.interval) + "]"
