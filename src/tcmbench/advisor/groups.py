"""How many pairs between two groups of classes a threshold accepts: what resampling needs."""

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.pairs import AllTiles, tile_side
from tcmbench.metrics.engine.rates import squared_cuts

GROUPS = 2000
_SEED = 20240507

Array = NDArray[np.float64]


def group_of(classes: int) -> NDArray[np.int64]:
    """Return [C] a group for each class: its own, or one of `GROUPS` of about equal size."""
    if classes <= GROUPS:
        return np.arange(classes)
    return np.random.default_rng(_SEED).permutation(classes) % GROUPS


def accepted_between(rows: LabelledRows, groups: NDArray[np.int64], distance: float) -> Array:
    """Count [G, G] the ordered pairs of different classes at a distance of at most `distance`.

    In the arithmetic of the metrics: the same pairs are accepted.
    """
    cut = squared_cuts(rows, np.array([distance]))
    group = torch.from_numpy(groups).to(rows.unit.device)[rows.class_of]
    count = int(groups.max()) + 1
    table = torch.zeros(count * count, dtype=torch.int64, device=rows.unit.device)
    for tile in AllTiles(rows, tile_side(rows, None)):
        near = tile.squared <= cut
        near &= rows.class_of[tile.rows, None] != rows.class_of[tile.cols]
        row, col = near.nonzero().unbind(1)
        one, other = group[tile.rows][row], group[tile.cols][col]
        for cells in (one * count + other, other * count + one):
            table.index_add_(0, cells, torch.ones_like(cells))
    return table.view(count, count).double().cpu().numpy()


def pairs_between(sizes: NDArray[np.int64], groups: NDArray[np.int64]) -> Array:
    """Count [G, G] all ordered pairs of images of different classes; `sizes` [C] are of classes."""
    images = np.bincount(groups, sizes).astype(np.float64)
    own = np.bincount(groups, sizes**2).astype(np.float64)
    total: Array = np.outer(images, images) - np.diag(own)
    return total
