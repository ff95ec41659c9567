"""The advice itself: a threshold, what it achieves, and for which classes it does not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tcmbench.advisor.rates import Array, Rates, rates_around
from tcmbench.advisor.resample import Interval, intervals
from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.cosines import distance_to_cosine
from tcmbench.metrics.engine.inputs import Device, Embeddings
from tcmbench.metrics.engine.labels import Labels

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WORST = 10
# A class misses the target if its rate is more than this many times as high.
MISS = 2.0


@dataclass(frozen=True, slots=True)
class ClassRates:
    """One class at the threshold; `frr` is None for a class of one image."""

    label: int
    name: str
    images: int
    far: float
    frr: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """One global threshold and what it does.

    Attributes:
        target: `far` or `frr`.
        rate: what was asked of it.
        distance: accept a pair if its L2 distance (unit vectors) is at most this.
        cosine: the same threshold as a least cosine, 1 - distance^2 / 2.
        distance_interval: 95 % class-bootstrap interval, None for too few classes.
        cosine_interval: the same for the cosine.
        rates: `far` and `frr` over all pairs, each with its value and interval.
        quantiles: `far` and `frr` over classes, by quantile.
        missed: share of the classes whose target rate is more than twice what was asked.
        worst: `far` and `frr`: the classes of the highest rates, highest first.
        num_images: all images.
        num_classes: all classes.
    """

    target: str
    rate: float
    distance: float
    cosine: float
    distance_interval: Interval | None
    cosine_interval: Interval | None
    rates: dict[str, dict[str, Any]]
    quantiles: dict[str, dict[str, float]]
    missed: float
    worst: dict[str, list[ClassRates]]
    num_images: int
    num_classes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and numbers."""
        return asdict(self)


def advise(
    embeddings: Embeddings,
    labels: Labels,
    *,
    far: float | None = None,
    frr: float | None = None,
    names: Mapping[int, str] | None = None,
    device: Device = None,
) -> Advice:
    """Choose one distance threshold for all classes and say what it does to each.

    Args:
        embeddings: [N, D], rows of any length but 0.
        labels: [N] integers.
        far: wished false accept rate over all pairs of different classes; or
        frr: wished false reject rate over all pairs of one class.
        names: of the labels, for print; a label without one is called "class 7".
        device: where to count pairs; by default where the embeddings are.

    Raises:
        UserError: not exactly one of `far` and `frr`, a rate outside 0 to 1, or as `metrics.opis`.
    """
    target, rate = ("far", far) if far is not None else ("frr", frr)
    if rate is None or (far is not None and frr is not None):
        raise UserError("give either a false accept rate (--far) or a false reject rate (--frr)")
    if not 0 < rate < 1:
        raise UserError(f"--{target} is {rate:g}; give a rate between 0 and 1")
    rates = rates_around(embeddings, labels, far, frr, device=device)
    found = intervals(rates, far, frr)
    distance = float(rates.thresholds[rates.target])
    ends = _known(found["threshold"])
    at_target = {"far": rates.far[:, rates.target], "frr": rates.frr[:, rates.target]}
    shown = at_target[target][~np.isnan(at_target[target])]
    return Advice(
        target=target,
        rate=rate,
        distance=distance,
        cosine=distance_to_cosine(distance),
        distance_interval=ends,
        cosine_interval=ends and (distance_to_cosine(ends[1]), distance_to_cosine(ends[0])),
        rates={
            name: {"value": _overall(at_target[name], pairs), "interval": _known(found[name])}
            for name, pairs in (("far", rates.negatives), ("frr", rates.positives))
        },
        quantiles={name: _quantiles(values) for name, values in at_target.items()},
        missed=float((shown > MISS * rate).mean()),
        worst={name: _worst(rates, at_target, name, names or {}) for name in at_target},
        num_images=int(rates.sizes.sum()),
        num_classes=len(rates.classes),
    )


def _overall(values: Array, pairs: Array) -> float:
    return float(np.nansum(values * pairs) / pairs.sum())


def _quantiles(values: Array) -> dict[str, float]:
    found = np.nanquantile(values, QUANTILES)
    return {f"{quantile:g}": float(value) for quantile, value in zip(QUANTILES, found, strict=True)}


def _worst(
    rates: Rates, at_target: dict[str, Array], name: str, names: Mapping[int, str]
) -> list[ClassRates]:
    """List the classes of the highest rates; among equals the lower label first."""
    order = np.argsort(-np.nan_to_num(at_target[name], nan=-1), kind="stable")[:WORST]
    listed = []
    for index in order:
        label = int(rates.classes[index])
        far, frr = (float(at_target[rate][index]) for rate in ("far", "frr"))
        if not np.isnan(at_target[name][index]):
            title = names.get(label, f"class {label}")
            known = None if np.isnan(frr) else frr
            listed.append(ClassRates(label, title, int(rates.sizes[index]), far, known))
    return listed


def _known(interval: Interval) -> Interval | None:
    return None if np.isnan(interval).any() else interval
