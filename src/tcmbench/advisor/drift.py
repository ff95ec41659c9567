"""What a threshold that was chosen on one set of embeddings does on another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tcmbench.advisor.advice import Advice, advise, described
from tcmbench.advisor.rates import rates_at
from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import Device, Embeddings
from tcmbench.metrics.engine.labels import Labels


@dataclass(frozen=True, slots=True)
class Drift:
    """One threshold on other images.

    Attributes:
        there: its rates on them; no interval of the threshold, which was not chosen there.
        own_distance: the threshold that they themselves would give for the same target, None where
            they cannot show such a rate.
    """

    there: Advice
    own_distance: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and numbers."""
        return self.there.to_json() | {"own_distance": self.own_distance}


def drift_of(
    advice: Advice,
    embeddings: Embeddings,
    labels: Labels,
    names: Mapping[int, str] | None = None,
    device: Device = None,
) -> Drift:
    """Apply a threshold to other embeddings.

    Args:
        advice: how it was chosen.
        embeddings: [N, D] the others.
        labels: [N] integers.
        names: of these labels.
        device: where to count pairs.

    Raises:
        UserError: unusable embeddings or labels.
    """
    around = advice.around
    rates = rates_at(embeddings, labels, around.thresholds, around.target, device)
    there = described(rates, advice.target, advice.rate, names or {}, chosen=False)
    try:
        far, frr = ((advice.rate, None), (None, advice.rate))[advice.target == "frr"]
        own = advise(embeddings, labels, far=far, frr=frr, device=device).distance
    except UserError:
        own = None
    return Drift(there, own)
