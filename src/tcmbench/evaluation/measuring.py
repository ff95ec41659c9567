"""The measuring: one pass over the pairs, and what does not come with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.progress import Progress
from tcmbench.metrics import (
    PairErrorRates,
    PairEvaluation,
    distance_to_cosine,
    error_rates,
    evaluate_all_pairs,
)
from tcmbench.metrics.estimate.budget import Asked, check
from tcmbench.metrics.map_search import chosen_search, searched_map_at_r
from tcmbench.metrics.search.field_recall import field_recall_at_1, is_searched

NEIGHBOURS = (1, 2, 4, 8, 10, 16, 32, 100, 1000)
FAR_RANGE = (0.01, 0.1)
CURVE_POINTS = 101
FROM_OPIS = (
    "opis",
    "epsilon_opis",
    "d_min",
    "d_max",
    "num_images",
    "num_classes",
    "num_excluded_classes",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What changes the value of OPIS; of the two ranges, one is None."""

    far_range: tuple[float, float] | None = FAR_RANGE
    frr_range: tuple[float, float] | None = None
    beta: float = 1.0
    epsilon: float = 0.1
    num_thresholds: int = 101

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> "Definition":
        """Return what a metrics.json was measured with."""
        ends = {name: metrics[name] for name in ("far_range", "frr_range")}
        return cls(
            **{name: None if pair is None else tuple(pair) for name, pair in ends.items()},
            beta=metrics["beta"],
            epsilon=metrics["epsilon"],
            num_thresholds=metrics["num_thresholds"],
        )


def measure(
    embeddings: NDArray[Any],
    labels: NDArray[Any],
    definition: Definition,
    device: str,
    search: str | None = None,
    shares: Sequence[str] = (),
) -> tuple[dict[str, Any], PairEvaluation]:
    """Return the content of metrics.json without its provenance, and what it was made of.

    Args:
        embeddings: [N, D].
        labels: [N] integers.
        definition: of OPIS.
        device: `cpu` or `cuda`.
        search: for MAP@R: `exact`, `faiss` or `none`; by default by size and device.
        shares: devices of that kind that share the pass over all pairs, a process each.

    Raises:
        UserError: as `metrics.opis`.
    """
    found = _one_pass(embeddings, labels, definition, device, shares)
    result = found.consistency
    field_recall, field_search = field_recall_at_1(embeddings, labels, device)
    search = search or chosen_search(len(embeddings), device)
    metrics = {
        "recall_at_1": found.recall[1],
        "recall_at_1_faiss": field_recall,
        "recall_at_k": found.recall,
        **searched_map_at_r(embeddings, labels, search, device),
        **{name: getattr(result, name) for name in FROM_OPIS},
        "cosine_range": [distance_to_cosine(end) for end in (result.d_min, result.d_max)],
        "epsilon": definition.epsilon,
        "far_range": definition.far_range,
        "frr_range": definition.frr_range,
        "beta": definition.beta,
        "num_thresholds": definition.num_thresholds,
        "faiss": field_search,
    }
    return metrics, found


def check_budget(
    embeddings: NDArray[Any],
    labels: NDArray[Any],
    definition: Definition,
    device: str,
    search: str | None,
    curves: bool,
    max_hours: float,
    shares: Sequence[str] = (),
) -> None:
    """Refuse what would take longer or more memory than there is; the arguments of `measure`.

    Args:
        embeddings: [N, D].
        labels: [N].
        definition: of OPIS.
        device: `cpu` or `cuda`.
        search: as in `measure`.
        curves: whether `whole_curves` follows.
        max_hours: what may be taken.
        shares: as in `measure`.

    Raises:
        UserError: it is estimated to take more.
    """
    search = search or chosen_search(len(embeddings), device)
    points = CURVE_POINTS if curves else 0
    gpus = max(1, len(shares)) if device == "cuda" else 1
    asked = Asked(definition.num_thresholds, search, points, is_searched(len(embeddings)), gpus)
    check(embeddings, labels, device, asked, max_hours)


def whole_curves(
    embeddings: NDArray[Any], labels: NDArray[Any], device: str, shares: Sequence[str] = ()
) -> PairErrorRates:
    """Count each class's errors at distances from 0 to 2, in a pass of their own."""
    thresholds, count = np.linspace(0, 2, CURVE_POINTS), len(embeddings)
    with Progress(count * (count - 1) // 2, "pairs", "curves") as progress:
        return error_rates(
            embeddings,
            labels,
            thresholds,
            device=device,
            report=progress.update,
            devices=shares,
        )


def _one_pass(
    embeddings: NDArray[Any],
    labels: NDArray[Any],
    definition: Definition,
    device: str,
    shares: Sequence[str],
) -> PairEvaluation:
    """Go over all pairs, with a line of progress where it takes long."""
    count = len(embeddings)
    with Progress(count * (count - 1) // 2, "pairs", "evaluate") as progress:
        return evaluate_all_pairs(
            embeddings,
            labels,
            [k for k in NEIGHBOURS if k < count],
            far_range=definition.far_range or FAR_RANGE,  # unused where frr is given
            beta=definition.beta,
            epsilon=definition.epsilon,
            num_thresholds=definition.num_thresholds,
            frr_range=definition.frr_range,
            device=device,
            report=progress.update,
            devices=shares,
        )
