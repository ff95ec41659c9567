"""The advice in words, for a terminal."""

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tcmbench.advisor.advice import MISS, Advice, ClassRates
from tcmbench.advisor.drift import Drift

TITLES = {"far": "false accept rate", "frr": "false reject rate"}
CAVEAT = (
    "Threshold and rates come from the same embeddings. The interval says how both would vary with "
    "other classes of the same kind; images of another kind need a threshold of their own."
)


def text(advice: Advice) -> str:
    """Return a page of plain text, 80 columns wide where names are short."""
    return "\n".join(_lines(advice)) + "\n"


def percent(rate: float | None) -> str:
    """Print a rate in % with three significant digits; a rate that does not exist as a dash."""
    return "–" if rate is None else f"{100 * rate:.3g} %"


def distance(value: float, digits: int = 6) -> str:
    """Print a distance with as many decimals, and more where it would have few digits."""
    return f"{value:.{_decimals(value, digits)}f}"


def cosine(value: float, digits: int = 6) -> str:
    """Print a cosine with as many decimals, and more where it is close to 1."""
    return f"{value:.{_decimals(1 - value, digits)}f}"


def threshold_distance(advice: Advice) -> str:
    """Print the threshold rounded to the side where the target still holds."""
    return _toward(advice.distance, advice.distance, down=advice.target == "far")


def threshold_cosine(advice: Advice) -> str:
    """Print the same as a cosine, rounded to the other side."""
    return _toward(advice.cosine, 1 - advice.cosine, down=advice.target != "far")


def _toward(value: float, size: float, *, down: bool) -> str:
    exact = Decimal(value)
    step = Decimal(1).scaleb(-_decimals(size, 6))
    return str(exact.quantize(step, ROUND_FLOOR if down else ROUND_CEILING))


def _decimals(size: float, digits: int) -> int:
    return max(digits, digits - 3 - math.floor(math.log10(size))) if 0 < size < 1 else digits


def bracket(interval: tuple[float, float] | None, form: Callable[[float], str]) -> str:
    """Print an interval, each end in a form, and nothing where there is none."""
    return "" if interval is None else f"[{', '.join(map(form, interval))}]"


def short_distance(value: float) -> str:
    """Print the end of an interval of distances."""
    return distance(value, 4)


def short_cosine(value: float) -> str:
    """Print the end of an interval of cosines."""
    return cosine(value, 4)


def quantile_title(quantile: str) -> str:
    """Print which quantile over classes a rate is."""
    names = {"0": "least", "0.5": "median", "1": "most"}
    return names.get(quantile, f"{100 * float(quantile):g} %")


def summary(found: Sequence[Advice]) -> str:
    """Return a table of several thresholds for the same embeddings, a line each."""
    head = f"{'target':<14}{'distance <=':>12}{'cosine >=':>12}{'FAR':>10}{'FRR':>10}{'missed':>10}"
    lines = [
        f"{f'{one.target.upper()} {percent(one.rate)}':<14}{threshold_distance(one):>12}"
        f"{threshold_cosine(one):>12}{percent(one.rates['far']['value']):>10}"
        f"{percent(one.rates['frr']['value']):>10}{percent(one.missed):>10}"
        for one in found
    ]
    return "\n".join([head, *lines, ""])


def drift_text(found: Drift, name: str) -> str:
    """Return what a threshold does on other embeddings; `name` is their file's."""
    return "\n".join(_drift_lines(found, name)) + "\n"


def _drift_lines(found: Drift, name: str) -> Iterator[str]:
    there = found.there
    yield f"\nThe same threshold on {name}"
    yield f"{there.num_images:,} images of {there.num_classes:,} classes"
    yield ""
    yield from _rate_lines(there)
    got = there.rates[there.target]["value"]
    yield f"{TITLES[there.target]} there: {got / there.rate:.3g} x what was asked for"
    if found.own_distance is not None:
        own = f"{distance(found.own_distance)} ({found.own_distance - there.distance:+.6f})"
        yield f"a threshold chosen there would be a distance of {own}"


def _lines(advice: Advice) -> Iterator[str]:
    yield f"One threshold for a {TITLES[advice.target]} of {percent(advice.rate)}"
    yield f"{advice.num_images:,} images of {advice.num_classes:,} classes"
    yield ""
    ends = bracket(advice.distance_interval, short_distance)
    yield f"accept if distance <= {threshold_distance(advice)}  {ends}".rstrip()
    ends = bracket(advice.cosine_interval, short_cosine)
    yield f"     or if cosine >= {threshold_cosine(advice)}  {ends}".rstrip()
    yield ""
    yield from _rate_lines(advice)
    for name, title in TITLES.items():
        yield f"\nworst classes by {title}"
        yield from map(_class_line, advice.worst[name])
    yield f"\nBrackets: 95 % class-bootstrap intervals. {CAVEAT}"


def _rate_lines(advice: Advice) -> Iterator[str]:
    for name, title in TITLES.items():
        rate = advice.rates[name]
        overall = f"{percent(rate['value'])} {bracket(rate['interval'], percent)}"
        yield f"{title}, all pairs: {overall}".rstrip()
        quantiles = (
            (quantile_title(quantile), percent(value))
            for quantile, value in advice.quantiles[name].items()
        )
        # "5 %: 0.1 %", but "median 1 %".
        parts = [f"{title}{':' * title.endswith('%')} {value}" for title, value in quantiles]
        yield f"  over classes: {', '.join(parts)}"
    yield f"classes beyond {MISS:g} x the target: {percent(advice.missed)}"


def _class_line(row: ClassRates) -> str:
    return (
        f"  {row.name:<32} {row.images:>6,} images  FAR {percent(row.far):>8}"
        f"  FRR {percent(row.frr):>8}"
    )
