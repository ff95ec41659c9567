"""False accept and false reject rates at any thresholds, of all pairs and of each class."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.metrics.engine.cosines import checked_distances
from tcmbench.metrics.engine.counting import full_precision
from tcmbench.metrics.engine.inputs import Device, Embeddings, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles, Tile, tile_side
from tcmbench.metrics.engine.rates import Array, count_rates


@dataclass(frozen=True, slots=True)
class PairErrorRates:
    """What `error_rates` found; T classes with at least two images, K thresholds.

    Attributes:
        thresholds: [K] distances, as given.
        far: [K] share of all negative pairs accepted, each unordered pair once; 0 without any.
        frr: [K] share of all positive pairs rejected; 0 without any.
        class_far: [T, K] share accepted of the pairs with exactly one image in the class.
        class_frr: [T, K] share rejected of the pairs within the class.
        classes: [T] labels, ascending.
    """

    thresholds: Array
    far: Array
    frr: Array
    class_far: Array
    class_frr: Array
    classes: NDArray[Any]


def error_rates(
    embeddings: Embeddings,
    labels: Labels,
    thresholds: Any,
    *,
    device: Device = None,
    block_size: int | None = None,
    report: Callable[[int], None] | None = None,
) -> PairErrorRates:
    """Count false accepts and false rejects over all pairs at each threshold, exactly.

    Rows are L2-normalised; a pair is accepted at threshold d if its distance, sqrt(2 - 2 cosine),
    is <= d. One pass of float64 products. `opis` gives rates within its calibration range too.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        thresholds: [K] distances, in any order; for cosines, pass `cosine_to_distance(cosines)`.
        device: where to compute; by default where the embeddings are. Results are the same.
        block_size: side of a tile of pairs. Results are the same.
        report: called now and then with a number of pairs done, N (N - 1) / 2 in all.

    Raises:
        UserError: unusable embeddings, labels or thresholds.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics import error_rates
        >>> embeddings = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> rates = error_rates(embeddings, np.array([7, 7, 9]), thresholds=[0.7, 1.0])
        >>> rates.far, rates.frr, rates.class_frr
        (array([0.5, 0.5]), array([1., 0.]), array([[1., 0.]]))
    """
    distances = checked_distances(thresholds)
    rows = prepare(embeddings, labels, device)
    tiles = _told(AllTiles(rows, tile_side(rows, block_size)), report)
    order = distances.argsort()
    back = order.argsort()
    with full_precision():
        # No pair is further than 2 apart; infinity marks cells of a tile that are no pair.
        cuts = np.minimum(distances[order], 3)
        found = count_rates(rows, cuts, PositiveTiles(rows), tiles)
    there = rows.positives.any()
    kept = rows.sizes >= 2
    return PairErrorRates(
        thresholds=distances,
        far=found.far[back],
        frr=found.frr[back] if there else np.zeros_like(distances),
        class_far=np.where(rows.negatives[kept, None] > 0, 1 - found.specificity[:, back], 0),
        class_frr=1 - found.sensitivity[:, back],
        classes=rows.classes[kept],
    )


def _told(tiles: Iterable[Tile], report: Callable[[int], None] | None) -> Iterator[Tile]:
    """Hand the tiles on, and tell of each once it has been counted."""
    for tile in tiles:
        yield tile
        if report is not None:
            height, width = tile.squared.shape
            report(height * (height - 1) // 2 if tile.rows == tile.cols else height * width)
