"""Classes drawn with replacement, as counts."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_SEED = 20240507
_NUMBERS_AT_ONCE = 2**21


def draws(classes: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yield counts [R, T] of drawing T classes from T, with the same bits on every machine."""
    random = np.random.default_rng(_SEED)
    rows = max(1, _NUMBERS_AT_ONCE // classes)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = random.integers(classes, size=(count, classes))
        drawn += np.arange(count)[:, None] * classes
        flat = np.bincount(drawn.ravel(), minlength=count * classes)
        yield flat.reshape(count, classes).astype(np.float64)
