"""Classes drawn with replacement, as counts."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SEED = 20240507
_NUMBERS_AT_ONCE = 2**21


def draws(classes: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yield counts [R, T] of drawing T classes from T, with the same bits on every machine."""
    rows = _rows(classes)
    counts = _counts(classes, resamples)
    for start in range(0, resamples, rows):
        yield counts[start : start + rows].astype(np.float64)


# All comparisons on a dataset resample the same classes, one after the other.
@lru_cache(maxsize=1)
def _counts(classes: int, resamples: int) -> NDArray[np.uint8]:
    """Draw; that a class comes 256 times among as many draws as classes has a chance of 1/256!."""
    random = np.random.default_rng(_SEED)
    counts = np.empty((resamples, classes), dtype=np.uint8)
    rows = _rows(classes)
    for start in range(0, resamples, rows):
        block = counts[start : start + rows]
        drawn = random.integers(classes, size=block.shape)
        drawn += np.arange(len(block))[:, None] * classes
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def _rows(classes: int) -> int:
    return max(1, _NUMBERS_AT_ONCE // classes)
