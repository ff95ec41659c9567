"""The advice as one HTML page."""

from html import escape

from tcmbench.advisor.advice import MISS, Advice, ClassRates
from tcmbench.advisor.text import CAVEAT, TITLES, bracket, percent, quantile_title
from tcmbench.tables.document import document, notes_list, scrolled

TITLE = "One threshold for all classes"


def page(advice: Advice, source: str) -> str:
    """Return a whole page; `source` names the embeddings."""
    parts = [
        f"<p>{escape(source)}: {advice.num_images:,} images of {advice.num_classes:,} classes. "
        f"Asked for: {TITLES[advice.target]} {percent(advice.rate)}.</p>",
        _threshold(advice),
        "<h2>What it achieves</h2>",
        _rates(advice),
        f"<p>Classes whose {TITLES[advice.target]} is more than {MISS:g} times what was asked for: "
        f"<b>{percent(advice.missed)}</b>.</p>",
    ]
    for name, title in TITLES.items():
        parts += [f"<h2>Worst classes by {title}</h2>", _worst(advice.worst[name], title)]
    notes = ["In small type: 95 % class-bootstrap intervals over the classes.", CAVEAT]
    body = "\n".join([*parts, notes_list(notes)])
    return document(TITLE, f'<div class="narrow">\n{body}\n</div>')


def _threshold(advice: Advice) -> str:
    rows = (
        ("Accept a pair at a distance of at most", advice.distance, advice.distance_interval),
        ("that is, a cosine of at least", advice.cosine, advice.cosine_interval),
    )
    body = "\n".join(
        f'<tr><th scope="row" class="name">{title}</th>'
        f"<td><b>{value:.6f}</b><small>{bracket(interval)}</small></td></tr>"
        for title, value, interval in rows
    )
    return scrolled("Threshold", f"{body}")


def _rates(advice: Advice) -> str:
    quantiles = list(advice.quantiles["far"])
    head = "".join(f'<th scope="col">{quantile_title(quantile)}</th>' for quantile in quantiles)
    rows = "\n".join(
        f'<tr><th scope="row" class="name">{title}</th><td>{percent(advice.rates[name]["value"])}'
        f"<small>{bracket(advice.rates[name]['interval'], rates=True)}</small></td>"
        + "".join(f"<td>{percent(value)}</td>" for value in advice.quantiles[name].values())
        + "</tr>"
        for name, title in TITLES.items()
    )
    spans = (
        '<tr><th rowspan="2" class="name"></th><th rowspan="2" scope="col">all pairs</th>'
        f'<th colspan="{len(quantiles)}" scope="colgroup">over classes</th></tr>'
    )
    return scrolled("Error rates", f'<thead>{spans}<tr class="columns">{head}</tr></thead>\n{rows}')


def _worst(rows: list[ClassRates], title: str) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in ("images", *TITLES.values()))
    body = "\n".join(
        f'<tr><th scope="row" class="name">{escape(row.name)}</th><td>{row.images:,}</td>'
        f"<td>{percent(row.far)}</td><td>{percent(row.frr)}</td></tr>"
        for row in rows
    )
    table = f'<thead><tr><th scope="col" class="name">Class</th>{head}</tr></thead>\n{body}'
    return scrolled(f"Worst classes by {title}", table)
