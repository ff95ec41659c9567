"""Retrieval by faiss, for sets beyond what an exact pass serves; never used unless asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import Embeddings, checked_ks
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.search.faiss_search import FaissSearch, Indices, default_index
from tcmbench.metrics.search.gallery import nearest_in_gallery
from tcmbench.metrics.search.sides import TwoSides, two_sides

_NEIGHBOURS_AT_A_TIME = 1 << 24


@dataclass(frozen=True, slots=True)
class ApproximateRetrieval:
    """What `approximate_retrieval` found.

    Attributes:
        recall: {k: share of queries with an image of their class among the k nearest found}.
        map_at_r: MAP@R of the neighbours found; None where it was not asked for or no query has a
            positive.
        agreement: share of the exact max(k) nearest neighbours that the index finds: its own
            recall, on a sample of queries. Equal distances, broken either way, count against it.
        sample: number of queries in the sample.
        index: faiss's name of the index.
    """

    recall: dict[int, float]
    map_at_r: float | None
    agreement: float
    sample: int
    index: str


def approximate_retrieval(
    embeddings: Embeddings,
    labels: Labels,
    k: Iterable[int] = (1, 2, 4, 8),
    *,
    gallery: Embeddings | None = None,
    gallery_labels: Labels | None = None,
    map_at_r: bool = True,
    index: str | None = None,
    probes: int = 32,
    gpu: bool | None = None,
    sample: int = 1000,
) -> ApproximateRetrieval:
    """Search with a faiss index (arXiv 2401.08281), and say how far it can be trusted.

    Recall@k and MAP@R are defined as in `recall_at_k` and `map_at_r`; the query's own image is left
    out by its index. Neighbours are faiss's: float32, ties in its order, and those that an inverted
    file does not visit are missing.

    Args:
        embeddings: [N, D] the queries, rows of any length but 0.
        labels: [N] integers.
        k: numbers of neighbours, each >= 1.
        gallery: [G, D] images to search; by default the queries themselves.
        gallery_labels: [G] integers.
        map_at_r: whether to search as deep as the largest class, too.
        index: faiss factory string. By default "Flat", the full search, up to 262,144 images, and
            "IVF{n},Flat" with n = 4 sqrt(G) cells beyond.
        probes: cells visited for a query, by any index that has some.
        gpu: search on torch's current GPU, at most 2,048 neighbours deep; by default where this
            faiss is built for it and that is deep enough.
        sample: queries searched exactly as well, to report the agreement.

    Raises:
        UserError: faiss is missing, or unusable arrays or options.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics.approximate import approximate_retrieval
        >>> embeddings = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
        >>> found = approximate_retrieval(embeddings, np.array([0, 0, 1, 1]), k=(1, 3))
        >>> found.recall, found.map_at_r, found.agreement, found.index
        ({1: 0.75, 3: 1.0}, 0.75, 1.0, 'Flat')
    """
    wanted = checked_ks(k)
    if sample < 1:
        raise UserError(f"sample is {sample}; compare at least one query with the exact search")
    sides = _sides(embeddings, labels, gallery, gallery_labels)
    positives = sides.positives_of_queries()
    name = index or default_index(len(sides.rows) - sides.queries)
    depth = max((*wanted, int(positives.max()) if map_at_r else 1))
    search = FaissSearch(sides, name, probes, gpu, depth)
    hits, precision = _scores(search, wanted, depth, positives)
    asked = int((positives > 0).sum())
    sample = min(sample, sides.queries)
    return ApproximateRetrieval(
        recall={number: hits[number] / sides.queries for number in wanted},
        map_at_r=precision / asked if map_at_r and asked else None,
        agreement=_agreement(search, min(max((*wanted, 1)), search.most), sample),
        sample=sample,
        index=name,
    )


def _sides(
    embeddings: Embeddings,
    labels: Labels,
    gallery: Embeddings | None,
    gallery_labels: Labels | None,
) -> TwoSides:
    if (gallery is None) != (gallery_labels is None):
        raise UserError("a gallery needs gallery_labels, and they need it; pass both or neither")
    if gallery is None or gallery_labels is None:
        return two_sides(
            embeddings, labels, embeddings, labels, np.arange(len(labels)), "cpu", None
        )
    return two_sides(embeddings, labels, gallery, gallery_labels, None, "cpu", None)


def _blocks(count: int, depth: int) -> Iterator[Indices]:
    step = max(1, _NEIGHBOURS_AT_A_TIME // depth)
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count))


def _scores(
    search: FaissSearch, ks: tuple[int, ...], depth: int, positives: Indices
) -> tuple[dict[int, int], float]:
    """Return the number of queries that hit within each k, and the sum of average precisions."""
    class_of = search.sides.class_of.numpy()
    of_query, of_gallery = np.split(class_of, [search.sides.queries])
    hits, total = dict.fromkeys(ks, 0), 0.0
    for queries in _blocks(search.sides.queries, min(depth, search.most)):
        found = search(queries, depth)
        right = (of_gallery[found] == of_query[queries, None]) & (found >= 0)
        for k in ks:
            hits[k] += int(right[:, :k].any(axis=1).sum())
        total += _precision(right, positives[queries])
    return hits, total


def _precision(right: NDArray[np.bool_], relevant: Indices) -> float:
    """Sum the average precision at R over queries with R positives."""
    place = np.arange(1, right.shape[1] + 1)
    right = right & (place <= relevant[:, None])
    precision = right.cumsum(axis=1) / place
    return float(((precision * right).sum(axis=1) / np.maximum(relevant, 1)).sum())


def _agreement(search: FaissSearch, depth: int, sample: int) -> float:
    drawn = np.sort(np.random.default_rng(0).choice(search.sides.queries, sample, replace=False))
    agreed = 0
    step = max(1, _NEIGHBOURS_AT_A_TIME // len(search.sides.rows))
    for start in range(0, sample, step):
        some = drawn[start : start + step]
        exact = nearest_in_gallery(search.sides, some.tolist(), depth).numpy()
        exact -= search.sides.queries
        for one, other in zip(search(some, depth), exact, strict=True):
            agreed += len(np.intersect1d(one, other))
    return agreed / (sample * depth)
