"""Margins from the false accept and false reject rates that are wished for, on training pairs."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.config.schema import load_schema
from tcmbench.embedding import embed
from tcmbench.metrics import cosine_to_distance, error_rates, opis
from tcmbench.metrics.engine.inputs import Embeddings
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.io.reading import Labelled, read_labelled

DRIFT = (
    "New classes lie otherwise than those of training: the authors of TCM recommend to tune "
    "margins to the data, which a suite with 'validation' does (docs/margins.md)."
)


@dataclass(frozen=True)
class Margins:
    """Margins as cosines, and the shares of pairs that TCM would penalise at them.

    Attributes:
        positive: at or below it lie `frr` of the positive pairs, or the least share above that.
        negative: at or above it lie `far` of the negative pairs, likewise.
        penalised: shares of positive pairs at or below, and of negative pairs at or above.
        usual: the default margins, positive and negative.
        usual_penalised: the same shares at those.
    """

    positive: float
    negative: float
    penalised: tuple[float, float]
    usual: tuple[float, float]
    usual_penalised: tuple[float, float]


def margins(embeddings: Embeddings, labels: Labels, far: float, frr: float) -> Margins:
    """Read margins off all pairs of training images.

    The negative margin is the cosine at the smallest distance whose false accept rate is >= `far`;
    the positive one that at the smallest distance whose false reject rate is <= `frr`.

    Args:
        embeddings: [N, D], of training images.
        labels: [N].
        far: false accept rate over all negative pairs, between 0 and 1.
        frr: false reject rate over all positive pairs, likewise.

    Raises:
        UserError: as `opis`.
    """
    accept = opis(embeddings, labels, far_range=(far, _looser(far))).d_min
    reject = opis(embeddings, labels, frr_range=(frr, _looser(frr))).d_max
    known = load_schema()["properties"]["regularizer"]["properties"]
    usual = known["margin_positive"]["default"], known["margin_negative"]["default"]
    cuts = [reject, accept, *cosine_to_distance(np.array(usual))]
    rates = error_rates(embeddings, labels, cuts)
    return Margins(
        positive=_cosine(reject),
        negative=_cosine(accept),
        penalised=(float(rates.frr[0]), float(rates.far[1])),
        usual=usual,
        usual_penalised=(float(rates.frr[2]), float(rates.far[3])),
    )


def training_embeddings(run: Path, device: torch.device) -> Labelled:
    """Embed the images that a run was trained on.

    Raises:
        UserError: the run is not finished, or its training images are not where they were.
    """
    record = read_json(run / "run.json")
    try:
        manifest, images = (Path(record["config"][key]) for key in ("manifest", "images"))
    except (KeyError, TypeError):
        raise UserError(f"{run}/run.json is not the record of a training; name a run") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "embeddings.npz")
        embed(run, manifest, images, file, device)
        return read_labelled(file)


def told(found: Margins, far: float, frr: float) -> Iterator[str]:
    """Say in lines what margins were found, and what they mean."""
    shares = [_percent(share) for share in (*found.penalised, *found.usual_penalised)]
    yield f"margin_positive: {found.positive:.4f}   false reject rate {_percent(frr)}"
    yield f"margin_negative: {found.negative:.4f}   false accept rate {_percent(far)}"
    yield (
        f"TCM would penalise the {shares[0]} of the positive pairs at or below the first and the "
        f"{shares[1]} of the negative pairs at or above the second; at its default margins, "
        f"{found.usual[0]:g} and {found.usual[1]:g}, {shares[2]} and {shares[3]}."
    )
    if found.positive <= found.negative:
        yield (
            "The positive margin is not above the negative one: on these pairs no threshold has "
            "both rates. Ask for higher rates, or train longer first."
        )
    yield DRIFT


def _looser(rate: float) -> float:
    return min(10 * rate, (1 + rate) / 2)


def _cosine(distance: float) -> float:
    return 1 - distance**2 / 2


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"
