"""The advice in words, for a terminal."""

from collections.abc import Iterator

from tcmbench.advisor.advice import MISS, Advice, ClassRates

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


def bracket(interval: tuple[float, float] | None, *, rates: bool = False) -> str:
    """Print an interval, of distances or of rates, and nothing where there is none."""
    if interval is None:
        return ""
    return f"[{', '.join(percent(end) if rates else f'{end:.4f}' for end in interval)}]"


def quantile_title(quantile: str) -> str:
    """Print which quantile over classes a rate is."""
    names = {"0": "least", "0.5": "median", "1": "most"}
    return names.get(quantile, f"{100 * float(quantile):g} %")


def _lines(advice: Advice) -> Iterator[str]:
    yield f"One threshold for a {TITLES[advice.target]} of {percent(advice.rate)}"
    yield f"{advice.num_images:,} images of {advice.num_classes:,} classes"
    yield ""
    yield f"accept if distance <= {advice.distance:.6f}  {bracket(advice.distance_interval)}"
    yield f"     or if cosine >= {advice.cosine:.6f}  {bracket(advice.cosine_interval)}"
    yield ""
    for name, title in TITLES.items():
        rate = advice.rates[name]
        overall = f"{percent(rate['value'])} {bracket(rate['interval'], rates=True)}"
        yield f"{title}, all pairs: {overall}".rstrip()
        quantiles = (
            (quantile_title(quantile), percent(value))
            for quantile, value in advice.quantiles[name].items()
        )
        # "5 %: 0.1 %", but "median 1 %".
        parts = [f"{title}{':' * title.endswith('%')} {value}" for title, value in quantiles]
        yield f"  over classes: {', '.join(parts)}"
    yield f"classes beyond {MISS:g} x the target: {percent(advice.missed)}"
    for name, title in TITLES.items():
        yield f"\nworst classes by {title}"
        yield from map(_class_line, advice.worst[name])
    yield f"\nBrackets: 95 % class-bootstrap intervals. {CAVEAT}"


def _class_line(row: ClassRates) -> str:
    return (
        f"  {row.name:<32} {row.images:>6,} images  FAR {percent(row.far):>8}"
        f"  FRR {percent(row.frr):>8}"
    )
