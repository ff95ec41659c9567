"""MAP@R by whichever search is asked for."""

from typing import Any

from tcmbench.metrics.engine.inputs import Embeddings
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.retrieval import map_at_r

# The exact search takes a minute for so many images on two cores, and grows with their square.
MOST_EXACTLY = 20_000
# Faiss's neighbours are compared with the exact ones to this depth.
_COMPARED = 10


def chosen_search(images: int, device: str) -> str:
    """Return the search that is used where none is asked for, "exact" or "faiss"."""
    return "exact" if images <= MOST_EXACTLY or device == "cuda" else "faiss"


def searched_map_at_r(
    embeddings: Embeddings, labels: Labels, search: str, device: str
) -> dict[str, Any]:
    """Return `map_at_r`, and under `map_at_r_search` how its neighbours were found.

    Args:
        embeddings: [N, D], as in `map_at_r`.
        labels: [N] integers.
        search: "exact", "faiss" (where the second is the index, and its agreement with the exact
            search on a sample of queries), or "none" (where the first is None).
        device: "cpu" or "cuda".

    Raises:
        UserError: as `map_at_r` and `approximate_retrieval`.
    """
    if search == "faiss":
        from tcmbench.metrics.search.approximate import approximate_retrieval

        gpu = False if device == "cpu" else None
        found = approximate_retrieval(embeddings, labels, (_COMPARED,), gpu=gpu)
        how = {"index": found.index, "agreement": found.agreement, "sample": found.sample}
        return {"map_at_r": found.map_at_r, "map_at_r_search": how}
    exact = map_at_r(embeddings, labels, device=device) if search == "exact" else None
    return {"map_at_r": exact, "map_at_r_search": search}
