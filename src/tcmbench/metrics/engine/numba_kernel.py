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
def _rank_one(line: Any, row_limit: Any, col_limits: Any, col_counts: Any) -> Any:
    """Return how many of a line are above the row's limit; add those above their column's."""
    above = np.int32(0)
    for c in range(len(line)):
        above += np.int32(line[c] > row_limit)
        col_counts[c] += np.int32(line[c] > col_limits[c])
    return above


@_compile
def _rank_four(
    one: Any, two: Any, three: Any, four: Any, own: Any, col_limits: Any, col_counts: Any
) -> Any:
    """Do it for four lines with limits `own` [4]: columns are fetched and stored once for all."""
    own_one, own_two, own_three, own_four = own[0], own[1], own[2], own[3]
    a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for at in range(len(col_limits)):
        limit = col_limits[at]
        a += np.int32(one[at] > own_one)
        b += np.int32(two[at] > own_two)
        c += np.int32(three[at] > own_three)
        d += np.int32(four[at] > own_four)
        col_counts[at] += (
            np.int32(one[at] > limit)
            + np.int32(two[at] > limit)
            + np.int32(three[at] > limit)
            + np.int32(four[at] > limit)
        )
    return a, b, c, d


@_compile
def _survivors(line: Any, edge: Any, found: Any) -> Any:
    """List the places at or above the edge; without a branch, which one in ten would mislead."""
    count = np.int64(0)
    for c in range(len(line)):
        found[count] = c
        count += np.int64(line[c] >= edge)
    return count


@_compile
def rank_tile(tile: Any, row: int, col: int, class_end: Any, limits: Any, counts: Any) -> None:
    """Count in `counts` [N] the negative pairs above `limits` [N] of a tile begun at (row, col).

    Columns before a row's `class_end` are its own class or were met before.
    """
    rows, stop = tile.shape[0], col + tile.shape[1]
    whole = rows // 4 * 4
    for r in range(rows):
        top = r // 4 * 4
        # Classes end in ascending order: from here on all four rows have pairs.
        shared = max(class_end[row + top + 3], col) if top < whole else stop
        shared = min(shared, stop)
        begin = max(class_end[row + r], col)
        if begin < shared:
            # Slices that all begin at 0: an index that might be negative is not vectorised.
            counts[row + r] += _rank_one(
                tile[r, begin - col : shared - col],
                limits[row + r],
                limits[begin:shared],
                counts[begin:shared],
            )
        if r == top and shared < stop:
            above = _rank_four(
                tile[r, shared - col :],
                tile[r + 1, shared - col :],
                tile[r + 2, shared - col :],
                tile[r + 3, shared - col :],
                limits[row + r : row + r + 4],
                limits[shared:stop],
                counts[shared:stop],
            )
            for which in range(4):
                counts[row + top + which] += above[which]


@_compile
def bin_tile(
    tile: Any,
    row: int,
    col: int,
    class_end: Any,
    groups: Any,
    run_of: Any,
    edge: Any,
    scale: Any,
    shape: tuple[int, int, int, int],
    table: Any,
    runs: Any,
    fine: Any,
) -> None:
    """Count the negative pairs of a tile, as `rank_tile` takes it, by bin.

    Each pair counts for the class of its row in `runs` and for the class of its column in `table`,
    and once in `fine` if it is in a fine range (`shape`: shift, count, low and high of `Bins`).
    """
    shift, count, low, high = shape
    skipped = np.int32((high - low) << shift)
    last = count - 1
    # The minimum keeps the conversion to an integer defined for everything above the open bin.
    ceiling = np.float32(last << shift)
    found, cells, finer = np.empty((3, tile.shape[1] + 1), np.int32)
    for r in range(tile.shape[0]):
        begin = max(class_end[row + r] - col, 0)
        if begin >= tile.shape[1]:
            continue
        line = tile[r, begin:]
        group = groups[col + begin : col + tile.shape[1]]
        own = runs[run_of[row + r]]
        near = _survivors(line, edge, found)
        # Loops of one purpose, without a branch: the processor looks further ahead.
        for at in range(near):
            cells[at] = np.int32(min((line[found[at]] - edge) * scale, ceiling))
        inside = np.int64(0)
        for at in range(near):
            place = cells[at] >> shift
            own[place] += 1
            finer[inside] = cells[at] - np.int32(place >= high) * skipped
            inside += np.int64((place < low) | ((place >= high) & (place < last)))
        for at in range(near):
            table[group[found[at]], cells[at] >> shift] += 1
        for at in range(inside):
            fine[finer[at]] += 1
