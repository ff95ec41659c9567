"""Which images lie inside the one threshold of a query, and which classes are worth a look."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tcmbench.plots.curves import Curves
from tcmbench.plots.embedded import Embedded

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Found:
    """The images inside the threshold of a query, nearest first, as rows of its embeddings.

    `right` [n] says which are of the query's class, `of_class` how many images that class has
    beside the query.
    """

    query: int
    rows: "NDArray[np.int64]"
    right: "NDArray[np.bool_]"
    of_class: int


def search(embedded: Embedded, query: int, threshold: float) -> Found:
    """Return all other images at a distance <= `threshold` (L2, unit vectors) of a query.

    Equal distances come in the order of rows. One query costs one pass over the embeddings.
    """
    inside, distances = embedded.within(query, threshold)
    ranked = inside[np.argsort(distances, kind="stable")]
    rows = ranked[ranked != query]
    same = embedded.labels == embedded.labels[query]
    return Found(query, rows, same[rows], int(same.sum()) - 1)


def picked_classes(
    curves: Curves, classes: "NDArray[np.int64]", quantiles: tuple[float, ...] = QUANTILES
) -> list[int]:
    """Return the classes at fixed quantiles of the threshold that would suit each class best.

    A class's own threshold is the (first) one of greatest utility; classes are ranked by it, equal
    ones by label, and the class of rank round(q · (T − 1)) is taken, each class once.
    """
    own = curves.thresholds[curves.utility.argmax(axis=1)]
    ranked = classes[np.lexsort((classes, own))]
    picks = [int(ranked[round(quantile * (len(ranked) - 1))]) for quantile in quantiles]
    return list(dict.fromkeys(picks))
