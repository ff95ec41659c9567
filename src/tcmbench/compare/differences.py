"""Paired differences of R@1, OPIS and epsilon-OPIS, with intervals over the classes."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.evaluation import Definition, measure
from tcmbench.metrics import PairEvaluation
from tcmbench.metrics.io.reading import Labelled
from tcmbench.statistics import MIN_CLASSES, opis_intervals, recall_interval

# Whether more is better, by what is measured.
MEASURES = {"recall_at_1": True, "opis": False, "epsilon_opis": False}
BETTER, WORSE, OPEN, UNKNOWN = "better", "worse", "open", "unknown"


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of both, `change` being the second minus the first.

    Attributes:
        first: of the first set of embeddings; R@1 as a share, OPIS in utility^2.
        second: of the second.
        change: second minus first.
        interval: 95 % class-bootstrap interval of the change, None for too few classes.
        verdict: of the second: `better` or `worse` where the whole interval is on one side of 0,
            `open` where it holds 0, `unknown` without an interval.
    """

    first: float
    second: float
    change: float
    interval: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found.

    Attributes:
        differences: by measure, as in `MEASURES`.
        epsilon: of epsilon-OPIS.
        metrics: what was measured of both.
        utility: [T, K] of both, the classes of two images or more, each over its own range.
        thresholds: [K] of both, distances.
        classes: [T] their names.
        num_images: of each set.
        num_classes: all classes.
    """

    differences: dict[str, Difference]
    epsilon: float
    metrics: tuple[dict[str, Any], dict[str, Any]]
    utility: tuple[NDArray[np.float64], NDArray[np.float64]]
    thresholds: tuple[NDArray[np.float64], NDArray[np.float64]]
    classes: list[str]
    num_images: int
    num_classes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and numbers."""
        return {
            "differences": {name: asdict(one) for name, one in self.differences.items()},
            "metrics": list(self.metrics),
            "num_images": self.num_images,
            "num_classes": self.num_classes,
        }


def compare(first: Labelled, second: Labelled, definition: Definition, device: str) -> Comparison:
    """Measure both and compare them class by class; rows may come in any order.

    Raises:
        UserError: other classes or numbers of images, or as `metrics.opis`.
    """
    _check_alike(first, second)
    found = [
        measure(one.embeddings, one.labels, definition, device, "none") for one in (first, second)
    ]
    (before, of_first), (after, of_second) = found
    utility = of_first.consistency.utility, of_second.consistency.utility
    intervals = _intervals(of_first, of_second, definition.epsilon)
    labels = of_first.consistency.classes.tolist()
    return Comparison(
        differences={
            name: _difference(name, before[name], after[name], intervals[name]) for name in MEASURES
        },
        epsilon=definition.epsilon,
        metrics=(before, after),
        utility=utility,
        thresholds=(of_first.consistency.thresholds, of_second.consistency.thresholds),
        classes=[first.names.get(label, f"class {label}") for label in labels],
        num_images=before["num_images"],
        num_classes=before["num_classes"],
    )


def _check_alike(first: Labelled, second: Labelled) -> None:
    """Refuse two sets that are not of the same images, as far as that can be seen."""
    of_first, of_second = (_sizes(one) for one in (first, second))
    if of_first != of_second:
        odd = sorted(set(of_first.items()) ^ set(of_second.items()), key=str)[0][0]
        raise UserError(
            f"the two files do not hold the same images: of {odd!r} the first has "
            f"{of_first.get(odd, 0)} and the second {of_second.get(odd, 0)}; embed the same images "
            "with both"
        )
    if first.paths is not None and second.paths is not None:
        differing = set(first.paths.tolist()) ^ set(second.paths.tolist())
        if differing:
            raise UserError(
                f"the two files do not hold the same images: '{min(differing)}' is in one alone; "
                "embed the same images with both"
            )


def _sizes(one: Labelled) -> dict[Any, int]:
    """Return the number of images of each class, by its text where labels are texts."""
    labels, counts = np.unique(one.labels, return_counts=True)
    named = [one.names[label] if one.texts else label for label in labels.tolist()]
    return dict(zip(named, counts.tolist(), strict=True))


def _intervals(
    first: PairEvaluation, second: PairEvaluation, epsilon: float
) -> dict[str, tuple[float, float]]:
    utility = first.consistency.utility, second.consistency.utility
    found = opis_intervals(*utility, epsilon=epsilon)
    images = first.recall_by_class.num_images.astype(np.float64)
    recalls = first.recall_by_class.recall_at_1, second.recall_by_class.recall_at_1
    known = len(images) >= MIN_CLASSES
    return {
        "recall_at_1": recall_interval(images, *recalls) if known else (math.nan, math.nan),
        "opis": found["opis_delta"],
        "epsilon_opis": found["epsilon_opis_delta"],
    }


def _difference(
    name: str, first: float, second: float, interval: tuple[float, float]
) -> Difference:
    low, high = interval
    known = not math.isnan(low)
    verdict = OPEN if known else UNKNOWN
    if known and (low > 0 or high < 0):
        verdict = BETTER if (low > 0) == MEASURES[name] else WORSE
    return Difference(first, second, second - first, interval if known else None, verdict)
