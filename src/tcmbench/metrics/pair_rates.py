"""False accept and false reject rates at any thresholds, of all pairs and of each class."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.metrics.engine.cosines import checked_distances
from tcmbench.metrics.engine.counting import full_precision
from tcmbench.metrics.engine.inputs import Device, Embeddings, LabelledRows, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles, Tile, tile_side
from tcmbench.metrics.engine.plan import Report
from tcmbench.metrics.engine.rates import Array, count_ends, count_positives, rates
from tcmbench.metrics.engine.shares import Share, shared


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
    devices: Sequence[str] = (),
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
        devices: share the pass, a process each, see `evaluate_all_pairs`; instead of `device`.

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
    rows = prepare(embeddings, labels, devices[0] if devices else device)
    order = distances.argsort()
    back = order.argsort()
    with full_precision():
        # No pair is further than 2 apart; infinity marks cells of a tile that are no pair.
        cuts = np.minimum(distances[order], 3)
        positives = count_positives(rows, cuts, PositiveTiles(rows))
        arguments = (cuts, tile_side(rows, block_size))
        every = sum(shared(_share_within, rows, devices, arguments, report))
        # Both ends of a positive pair lie in its class; of a negative pair, one in each of two.
        found = rates(rows, cuts, positives, every - 2 * positives)
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


def _share_within(
    rows: LabelledRows, share: Share, report: Report | None, cuts: Array, side: int
) -> NDArray[np.int64]:
    with full_precision():
        tiles = _told(share.of(AllTiles(rows, side)), report, share.count)
        return count_ends(rows, cuts, tiles)


def _told(tiles: Iterable[Tile], report: Report | None, shares: int) -> Iterator[Tile]:
    """Hand the tiles on, and tell of each, and of those of other shares, once it is counted."""
    for tile in tiles:
        yield tile
        if report is not None:
            height, width = tile.squared.shape
            pairs = height * (height - 1) // 2 if tile.rows == tile.cols else height * width
            report(shares * pairs)
