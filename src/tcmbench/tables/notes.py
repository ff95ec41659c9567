"""The sentences below a table and a figure: what was measured, how, and on what."""

from collections.abc import Sequence
from typing import Any

from tcmbench.tables.names import MINIATURE, backbone_title
from tcmbench.tables.runs import Comparison, MeasuredRun

MINIATURES = (
    "The datasets are miniatures composed of handwritten digits in the archive layouts of the "
    "named datasets, not those datasets: these numbers say nothing about the paper's."
)


def table_notes(comparisons: Sequence[Comparison], suite: str) -> list[str]:
    """Return the footnote of the comparison table, one sentence an item."""
    runs = [run for comparison in comparisons for pair in comparison.pairs for run in pair]
    first = runs[0]
    seeds = sorted({run.run.seed for run in runs})
    notes = [
        f"Suite {suite}, scale {first.scale}; comparisons: {len(comparisons)}; "
        f"seeds: {', '.join(map(str, seeds))}.",
        *([MINIATURES] if first.scale == MINIATURE else []),
        "Change: +TCM minus base, of the same seed, rounded after the subtraction; R@1 in "
        "percentage points. A change that rounds to zero has no arrow and no colour.",
        *_stored(first.image_cache),
        "Selection: the weights after the last epoch; no test image chooses anything.",
        settings(first.metrics),
        *_random_starts(runs),
    ]
    if any(len(comparison.pairs) > 1 for comparison in comparisons):
        notes.append(
            "Values are means over seeds; in brackets: 95 % paired t-interval over seeds. "
            "The colour follows the mean alone."
        )
    return notes


def _stored(image_cache: dict[str, Any] | None) -> list[str]:
    """Name a choice that is not the paper's protocol."""
    if image_cache is None:
        return []
    return [
        f"Images were stored with a short side of at most {image_cache['short_side']} pixels (JPEG "
        f"quality {image_cache['quality']}), not as published: this is not the paper's protocol."
    ]


def _random_starts(runs: Sequence[MeasuredRun]) -> list[str]:
    """Name the backbones that were not pretrained, which the paper's all are."""
    configs = [(run.run.backbone, run.record.get("config", {})) for run in runs]
    # A record that says nothing of its start weights is not taken for one of a random start.
    random = {name for name, config in configs if config.get("weights", "unknown") is None}
    names = " and ".join(backbone_title(name) for name in sorted(random))
    return [f"Start weights: {names} began with random ones, not pretrained."] if names else []


def settings(metrics: dict[str, Any]) -> str:
    """Say in one sentence with which settings OPIS was computed."""
    worst = f"{100 * metrics['epsilon']:g}"
    return (
        f"OPIS: calibration range where the {_calibration(metrics)}, measured on each model's own "
        f"test pairs; K = {metrics['num_thresholds']} thresholds; β = {metrics['beta']:g}; "
        f"{worst}%-OPIS sets the worst {worst} % of the classes against the rest."
    )


def _calibration(metrics: dict[str, Any]) -> str:
    if metrics.get("frr_range"):
        return "false reject rate is {:g} to {:g}".format(*metrics["frr_range"])
    return "false accept rate is {:g} to {:g}".format(*metrics["far_range"])
