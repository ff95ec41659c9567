"""The advice itself: a threshold, what it achieves, and for which classes it does not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
        classes: all of them, by label.
        around: rates of all classes at distances around the threshold; not part of the JSON.
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
    classes: list[ClassRates] = field(repr=False)
    around: Rates = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and numbers; all classes are in a table of their own."""
        known = (name for name in self.__slots__ if name not in ("classes", "around"))
        return {name: _plain(getattr(self, name)) for name in known}


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
    return described(rates, target, rate, names or {})


def described(
    rates: Rates, target: str, rate: float, names: Mapping[int, str], *, chosen: bool = True
) -> Advice:
    """Say what the threshold of `rates` does.

    Args:
        rates: around it.
        target: `far` or `frr`.
        rate: what was asked of it.
        names: of the labels.
        chosen: whether the threshold was chosen on these rates, and so varies with them.
    """
    asked = {target: rate} if chosen else {}
    found = intervals(rates, asked.get("far"), asked.get("frr"))
    distance = float(rates.thresholds[rates.target])
    ends = _known(found["threshold"]) if chosen else None
    at_target = {"far": rates.far[:, rates.target], "frr": rates.frr[:, rates.target]}
    shown = at_target[target][~np.isnan(at_target[target])]
    classes = _classes(rates, names)
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
        worst={name: _worst(classes, name) for name in at_target},
        num_images=int(rates.sizes.sum()),
        num_classes=len(rates.classes),
        classes=classes,
        around=rates,
    )


def _overall(values: Array, pairs: Array) -> float:
    return float(np.nansum(values * pairs) / pairs.sum())


def _quantiles(values: Array) -> dict[str, float]:
    found = np.nanquantile(values, QUANTILES)
    return {f"{quantile:g}": float(value) for quantile, value in zip(QUANTILES, found, strict=True)}


def _classes(rates: Rates, names: Mapping[int, str]) -> list[ClassRates]:
    """List all classes, by label."""
    listed = zip(
        rates.classes.tolist(),
        rates.sizes.tolist(),
        rates.far[:, rates.target].tolist(),
        rates.frr[:, rates.target].tolist(),
        strict=True,
    )
    return [
        ClassRates(
            label, names.get(label, f"class {label}"), images, far, None if np.isnan(frr) else frr
        )
        for label, images, far, frr in listed
    ]


def _worst(classes: list[ClassRates], name: str) -> list[ClassRates]:
    """List the classes of the highest rates; among equals the lower label first."""
    known = [row for row in classes if getattr(row, name) is not None]
    return sorted(known, key=lambda row: -getattr(row, name))[:WORST]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return asdict(value) if isinstance(value, ClassRates) else value


def _known(interval: Interval) -> Interval | None:
    return None if np.isnan(interval).any() else interval
