"""The counting kernel for a CPU, compiled by numba; imported only where it is used."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def _compile(function: Callable[..., Any]) -> Any:
    """Compile, with the machine code kept on disk where numba finds a folder to write to."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_compile
def _rank(line: Any, row_limit: Any, col_limits: Any, col_counts: Any) -> Any:
    """Return how many of a line are above the row's limit; add those above their column's."""
    above = np.int32(0)
    for c in range(len(line)):
        above += np.int32(line[c] > row_limit)
        col_counts[c] += np.int32(line[c] > col_limits[c])
    return above


@_compile
def _survivors(line: Any, edge: Any, found: Any) -> Any:
    """List the places at or above the edge; without a branch, which one in ten would mislead."""
    count = np.int64(0)
    for c in range(len(line)):
        found[count] = c
        count += np.int64(line[c] >= edge)
    return count


@_compile
def count_stripe(
    tile: Any,
    first_row: int,
    first_col: int,
    start: int,
    stop: int,
    class_end: Any,
    groups: Any,
    run_of: Any,
    limits: Any,
    edge: Any,
    scale: Any,
    shape: tuple[int, int, int, int],
    table: Any,
    runs: Any,
    fine: Any,
    row_counts: Any,
    col_counts: Any,
) -> None:
    """Count the negative pairs of columns `start`..`stop` of a tile of similarities [r, c].

    Columns before a row's `class_end` are its own class or were met before. Each pair counts for
    the class of its row in `runs` and for the class of its column in `table`, once in `fine` if it
    is in a fine range (`shape` is the shift, count, low and high of `Bins`), and for the rank of
    either row where the similarity is above that row's two `limits` [2, N].
    """
    shift, count, low, high = shape
    skipped = (high - low) << shift
    last = count - 1
    # The minimum keeps the conversion to an integer defined for everything above the open bin.
    ceiling = np.float32(last << shift)
    found = np.empty(stop - start + 1, np.int32)
    for r in range(tile.shape[0]):
        row = first_row + r
        begin = max(start, class_end[row])
        if begin >= stop:
            continue
        # Slices that all begin at 0: an index that might be negative keeps loops from vectorising.
        line = tile[r, begin - first_col : stop - first_col]
        group = groups[begin:stop]
        for which in range(2):
            limit = limits[which]
            counts = col_counts[which, begin:stop]
            row_counts[which, row] += _rank(line, limit[row], limit[begin:stop], counts)
        own = runs[run_of[row]]
        for at in range(_survivors(line, edge, found)):
            c = found[at]
            cell = np.int32(min((line[c] - edge) * scale, ceiling))
            place = cell >> shift
            own[place] += 1
            table[group[c], place] += 1
            if place < low:
                fine[cell] += 1
            elif high <= place < last:
                fine[cell - skipped] += 1
