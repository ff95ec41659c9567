"""The advice as one HTML page."""

from typing import Any

from tcmbench import templates
from tcmbench.advisor.advice import MISS, Advice
from tcmbench.advisor.text import (
    CAVEAT,
    TITLES,
    bracket,
    percent,
    quantile_title,
    short_cosine,
    short_distance,
    threshold_cosine,
    threshold_distance,
)

TITLE = "One threshold for all classes"
INTERVALS = "In small type: 95 % class-bootstrap intervals over the classes."


def page(advice: Advice, source: str) -> str:
    """Return a whole page; `source` names the embeddings."""
    return templates.html(
        "threshold.html",
        title=TITLE,
        source=source,
        images=f"{advice.num_images:,}",
        classes=f"{advice.num_classes:,}",
        target=TITLES[advice.target],
        rate=percent(advice.rate),
        thresholds=_thresholds(advice),
        quantiles=[quantile_title(quantile) for quantile in advice.quantiles["far"]],
        rates=_rates(advice),
        miss=f"{MISS:g}",
        missed=percent(advice.missed),
        worst_classes=_worst(advice),
        sentences=[INTERVALS, CAVEAT],
    )


def _thresholds(advice: Advice) -> list[dict[str, str]]:
    return [
        {
            "title": "Accept a pair at a distance of at most",
            "value": threshold_distance(advice),
            "interval": bracket(advice.distance_interval, short_distance),
        },
        {
            "title": "that is, a cosine of at least",
            "value": threshold_cosine(advice),
            "interval": bracket(advice.cosine_interval, short_cosine),
        },
    ]


def _rates(advice: Advice) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "value": percent(advice.rates[name]["value"]),
            "interval": bracket(advice.rates[name]["interval"], percent),
            "quantiles": [percent(value) for value in advice.quantiles[name].values()],
        }
        for name, title in TITLES.items()
    ]


def _worst(advice: Advice) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "classes": [
                (row.name, (f"{row.images:,}", percent(row.far), percent(row.frr)))
                for row in advice.worst[name]
            ],
        }
        for name, title in TITLES.items()
    ]
