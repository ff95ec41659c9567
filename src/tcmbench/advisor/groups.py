"""How many pairs between two groups of classes a threshold accepts: what resampling needs."""

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.metrics.engine.inputs import LabelledRows

GROUPS = 2000
_SEED = 20240507
_ROWS = 2048
_ROUNDING = 1e-6

Array = NDArray[np.float64]


def group_of(classes: int) -> NDArray[np.int64]:
    """Return [C] a group for each class: its own, or one of `GROUPS` of about equal size."""
    if classes <= GROUPS:
        return np.arange(classes)
    return np.random.default_rng(_SEED).permutation(classes) % GROUPS


def accepted_between(rows: LabelledRows, groups: NDArray[np.int64], distance: float) -> Array:
    """Count [G, G] the ordered pairs of different classes at a distance of at most `distance`.

    In float32, so a pair within 1e-6 of the threshold may count otherwise than in the metrics.
    """
    cosine = 1 - distance**2 / 2 - _ROUNDING
    group = torch.from_numpy(groups).to(rows.unit.device)[rows.class_of]
    count = int(groups.max()) + 1
    table = torch.zeros(count, count, dtype=torch.float64, device=rows.unit.device)
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        near = rows.unit[block] @ rows.unit.T >= cosine
        near &= rows.class_of[block, None] != rows.class_of
        ends = torch.zeros(len(near), count, dtype=torch.float64, device=near.device)
        table.index_add_(0, group[block], ends.index_add_(1, group, near.double()))
    return table.cpu().numpy()


def pairs_between(sizes: NDArray[np.int64], groups: NDArray[np.int64]) -> Array:
    """Count [G, G] all ordered pairs of images of different classes; `sizes` [C] are of classes."""
    images = np.bincount(groups, sizes).astype(np.float64)
    own = np.bincount(groups, sizes**2).astype(np.float64)
    total: Array = np.outer(images, images) - np.diag(own)
    return total
