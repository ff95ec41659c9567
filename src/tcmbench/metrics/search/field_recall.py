"""R@1 as the field computes it, beside the exact one: faiss's flat index, float32 products."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from tcmbench.metrics.engine.inputs import Embeddings
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.search.faiss_search import FULL_SEARCH, FaissSearch, installed_build
from tcmbench.metrics.search.sides import two_sides

_INDEX = "Flat"
_AT_A_TIME = 1 << 16


def is_searched(images: int) -> bool:
    """Return whether faiss is at hand, and the images are so few that a full search is minutes.

    Raises:
        UserError: two builds of faiss.
    """
    installed_build()
    return find_spec("faiss") is not None and images <= FULL_SEARCH


def field_recall_at_1(
    embeddings: Embeddings, labels: Labels, device: str
) -> tuple[float | None, dict[str, str] | None]:
    """Return the share of images whose nearest other one is of their class, and how it was found.

    An image's own entry is left out by its index. Among equally near images faiss's order decides,
    and float32 products may swap near ones: that is the difference from `recall_at_k`.

    Args:
        embeddings: [N, D], as in `recall_at_k`.
        labels: [N] integers.
        device: "cpu"; or "cuda", for the current GPU where this faiss is built for one.

    Returns:
        The share, and faiss's index, device, package and version; None twice where `is_searched`
        says no.

    Raises:
        UserError: unusable embeddings or labels, or two builds of faiss.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics.search.field_recall import field_recall_at_1
        >>> embeddings = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
        >>> field_recall_at_1(embeddings, np.array([0, 0, 1, 1]), "cpu")[0]
        0.75
    """
    if not is_searched(len(embeddings)):
        return None, None
    own = np.arange(len(embeddings))
    sides = two_sides(embeddings, labels, embeddings, labels, own, "cpu", None)
    search = FaissSearch(sides, _INDEX, 1, False if device == "cpu" else None, 1)
    of_query, of_gallery = np.split(sides.class_of.numpy(), [sides.queries])
    hits = 0
    for start in range(0, sides.queries, _AT_A_TIME):
        queries = np.arange(start, min(start + _AT_A_TIME, sides.queries))
        hits += int((of_gallery[search(queries, 1)[:, 0]] == of_query[queries]).sum())
    return hits / sides.queries, _how(search)


def _how(search: FaissSearch) -> dict[str, Any]:
    package, version = installed_build()
    device = "cuda" if search.on_gpu else "cpu"
    return {"index": _INDEX, "device": device, "package": package, "version": version}
