"""The sentences below a table and a figure: what was measured, how, and on what."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.config.own import OWN
from tcmbench.statistics import RESAMPLES
from tcmbench.tables.completeness import Whole, shortfall
from tcmbench.tables.fitting import fitting
from tcmbench.tables.intervals import NO_INTERVAL, OVER_CLASSES, OVER_SEEDS
from tcmbench.tables.names import MINIATURE, OTHER_DATASETS, backbone_title, dataset_title
from tcmbench.tables.overall import overall
from tcmbench.tables.pairing import Comparison
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    import pandas as pd

MINIATURES = (
    "The datasets are miniatures composed of handwritten digits in the archive layouts of the "
    "named datasets, not those datasets: these numbers say nothing about the paper's."
)
KINDS = {
    OVER_SEEDS: "Rows with several pairs of runs (paired t): values are means over seeds, and over "
    "folds where there are any; in brackets the 95 % paired t-interval of the change over them.",
    OVER_CLASSES: "Rows with n = 1 (class bootstrap): in brackets the 95 % bootstrap-t interval of "
    f"the change over {RESAMPLES:,} draws of the test classes, the same ones for base and +TCM. It "
    "says how the change varies with the choice of test classes, and nothing about another "
    "training. With 100 classes or fewer it covers less often than it says: see "
    "results/reference/.",
    NO_INTERVAL: "Rows without interval: one seed, and fewer than 10 test classes or no "
    "utility.parquet and classes.parquet beside the metrics.",
}
TUNED = (
    "Margins: chosen for each dataset, backbone and loss on folds of its training classes, not the "
    "paper's; those of each row stand in {}."
)
# Networks of config.yaml that are pretrained here, whatever they are trained on.
SMALL = ("test_resnet", "test_vit")
# Images that are named one by one.
NAMED = 20
# By how much a precision of training moves cosine similarities: the largest of
# results/reference/precision-*.md, of the trained networks.
MOVED = {"bfloat16": 0.024, "float16": 0.0025, "tf32": 0.0023}
PRECISIONS = {"tf32_backward": "float32 with gradients in TF32"}
REFERENCES = {
    "published_recall_at_1": "† R@1 of the base loss in its own paper: of the checkpoint with the "
    "best R@1 on the test images, so it can be higher than ours by its selection alone. Sources: "
    "report/published_recall.csv.",
    "paper_recall_at_1_tcm": "‡ The paper's value with TCM and, in brackets, its change, as typed "
    "into report/paper_results.csv.",
}


def table_notes(
    comparisons: Sequence[Comparison],
    frame: "pd.DataFrame",
    suite: str,
    whole: Whole | None = None,
    tuned: Path | None = None,
) -> list[str]:
    """Return the footnote of the comparison table, one sentence or a few an item.

    Args:
        comparisons: what the table shows.
        frame: their `comparisons_frame`.
        suite: its name.
        whole: what the suite consists of, where it is known.
        tuned: where the margins stand that were chosen for each row, if they were.
    """
    runs = [run for comparison in comparisons for pair in comparison.pairs for run in pair]
    first = runs[0]
    seeds = sorted({run.run.seed for run in runs})
    part = shortfall([len(comparison.pairs) for comparison in comparisons], whole)
    evaluation = f", evaluation {first.evaluation}" if first.evaluation else ""
    return [
        *([f"Only a part of the suite: {part}."] if part else []),
        f"Suite {suite}{evaluation}, scale {first.scale}; comparisons: {len(comparisons)}; "
        f"seeds: {', '.join(map(str, seeds))}.",
        *([MINIATURES] if first.scale == MINIATURE else []),
        *(fitting(runs) if first.scale == OWN else []),
        _protocol(runs),
        *([TUNED.format(tuned)] if tuned else []),
        "Change: +TCM minus base, of the same seed, rounded after the subtraction; R@1 in "
        "percentage points. A change that rounds to zero has no arrow and no colour; the colour "
        "follows the change alone, not its interval.",
        *overall(frame),
        *_stored(first.image_cache),
        *_left_out(runs),
        "Selection: the weights after the last epoch; no test image chooses anything.",
        _networks(runs),
        settings(first.metrics),
        *_field_recall(runs),
        *_random_starts(runs),
        *(text for kind, text in KINDS.items() if (frame["interval"] == kind).any()),
        *(text for column, text in REFERENCES.items() if column in frame),
    ]


def _protocol(runs: Sequence[MeasuredRun]) -> str:
    """Say what was kept apart and what was shared."""
    if fold := next(iter(runs)).fold:
        return (
            f"Protocol: scored on training classes, in {fold.of} folds without a class in common, "
            "each by networks that were trained on the other folds, with batches smaller by the "
            "same share; no image of the test split takes part. Every image of a fold is a query "
            "and its others are the gallery. Base and +TCM share seed, start weights, batches and "
            "recipe."
        )
    toy = any(run.run.dataset in OTHER_DATASETS for run in runs)
    classes = (
        "training and test images show the same classes, in this toy"
        if toy
        else "no test class occurs in training"
    )
    return (
        f"Protocol: {classes}; every test image is a query and all others are its gallery. Base "
        "and +TCM share seed, start weights, batches and recipe."
    )


def _stored(image_cache: dict[str, Any] | None) -> list[str]:
    """Name a choice that is not the paper's protocol."""
    if image_cache is None:
        return []
    return [
        f"Images were stored with a short side of at most {image_cache['short_side']} pixels (JPEG "
        f"quality {image_cache['quality']}), not as published: this is not the paper's protocol."
    ]


def _left_out(runs: Sequence[MeasuredRun]) -> list[str]:
    """Name the images that a dataset was used without."""
    own = any(run.scale == OWN for run in runs)
    found = {
        dataset_title(run.run.dataset, run.scale): run.left_out for run in runs if run.left_out
    }
    return [
        f"{name}: {len(paths)} of {'the' if own else 'the published'} images cannot be decoded and "
        f"{'was' if len(paths) == 1 else 'were'} left out: {', '.join(paths[:NAMED])}"
        f"{' and others' if len(paths) > NAMED else ''}."
        for name, paths in sorted(found.items())
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


def _field_recall(runs: Iterable[MeasuredRun]) -> list[str]:
    """Say how far R@1 is from what the field's usual search finds, where that was asked."""
    metrics = {run.folder: run.metrics for run in runs}.values()
    # One run may stand in several comparisons, and without faiss there is no such number.
    both = [one for one in metrics if one.get("recall_at_1_faiss") is not None]
    if not both:
        return []
    largest = max(abs(one["recall_at_1_faiss"] - one["recall_at_1"]) for one in both)
    searches = sorted({_search(one["provenance"]["faiss"]) for one in both})
    some = "" if len(both) == len(metrics) else f" in {len(both)} of {len(metrics)} runs"
    return [
        "R@1 is exact. As the field computes it, in float32 with a flat index, the own image left "
        f"out by its index ({'; '.join(searches)}), it differs by at most {100 * largest:.2g} "
        f"percentage points{some}."
    ]


def _search(how: dict[str, str]) -> str:
    return f"{how['package']} {how['version']} on {how['device']}"


def _networks(runs: Iterable[MeasuredRun]) -> str:
    """Name the start weights and the precision of training."""
    names, precisions, scales = set(), set(), set()
    for run in runs:
        config = run.record.get("config", {})
        name = config.get("model", {}).get("timm", run.run.backbone)
        small = run.scale == OWN and config.get("weights") and run.run.backbone in SMALL
        names.add(f"{name} (pretrained by the suite on digits)" if small else name)
        precisions.add(run.record.get("precision", "not recorded"))
        scales.add(run.scale)
    own = " (these networks, pretrained by the suite on digits)" if MINIATURE in scales else ""
    said = [PRECISIONS.get(name, name) for name in sorted(precisions)]
    return " ".join(
        [
            f"Networks: {', '.join(sorted(names))}{own}.",
            f"Precision of training: {', '.join(said)}; test images are embedded in float32 and "
            "metrics are exact.",
            *(_deviation(name) for name in MOVED if name in precisions),
        ]
    )


def _deviation(precision: str) -> str:
    return (
        f"Deviation: the losses' official code trains in float32; {precision} moves similarities "
        f"by up to {MOVED[precision]}, where the losses' temperature is 0.01."
    )


def _calibration(metrics: dict[str, Any]) -> str:
    if metrics.get("frr_range"):
        return "false reject rate is {:g} to {:g}".format(*metrics["frr_range"])
    return "false accept rate is {:g} to {:g}".format(*metrics["far_range"])
