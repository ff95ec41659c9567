"""Where the threads of the counting pass count pairs by group and bin, none in another's way."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tcmbench.metrics.engine.brackets import Bins
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.totals import groups, most

#: What a thread counts in: lines by column and table, then lines by row and table.
Places = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], NDArray[Any]]


class Tables(Protocol):
    """Counts by group and bin."""

    def of(self, thread: int) -> Places:
        """Return where a thread counts."""

    def end_strip(self, rows: slice, wait: Callable[[], None]) -> None:
        """Do what is due after a strip; `wait` for the threads where they must not run ahead."""

    def total(self) -> NDArray[Any]:
        """Return the counts [G, M]."""


def tables(rows: LabelledRows, bins: Bins, side: int, threads: int) -> Tables:
    """Return a table of all groups for each thread, or one where there are too many groups.

    The number of bins was chosen for as many groups in each thread as a strip has rows.
    """
    group_of, count = groups(rows)
    dtype = np.dtype(np.int64 if most(rows) >= 2**31 else np.int32)
    if count <= side:
        return _Own(group_of, np.zeros((threads, count, bins.count), dtype))
    return _Shared(group_of, count, side, threads, bins, dtype)


class _Own:
    """A table for each thread: none waits for another."""

    def __init__(self, group_of: NDArray[np.int64], tables: NDArray[Any]) -> None:
        self._group_of = group_of
        self._tables = tables

    def of(self, thread: int) -> Places:
        return self._group_of, self._tables[thread], self._group_of, self._tables[thread]

    def end_strip(self, rows: slice, wait: Callable[[], None]) -> None:
        """Nothing is due."""

    def total(self) -> NDArray[Any]:
        total: NDArray[Any] = self._tables.sum(0, self._tables.dtype)
        return total


class _Shared:
    """One table; no group is in the columns of two threads at once.

    What threads would share, each has for itself: the groups of the strip's rows, and the last
    group, of all classes of one image.
    """

    def __init__(
        self,
        group_of: NDArray[np.int64],
        count: int,
        side: int,
        threads: int,
        bins: Bins,
        dtype: np.dtype[Any],
    ) -> None:
        self._last = count - 1
        self._group_of = [
            np.where(group_of == self._last, group_of + thread, group_of)
            for thread in range(threads)
        ]
        self._table = np.zeros((self._last + threads, bins.count), dtype)
        self._run_of = _runs(group_of, side)
        self._runs = np.zeros((threads, int(self._run_of.max()) + 1, bins.count), dtype)

    def of(self, thread: int) -> Places:
        return self._group_of[thread], self._table, self._run_of, self._runs[thread]

    def end_strip(self, rows: slice, wait: Callable[[], None]) -> None:
        wait()
        run_of = self._run_of[rows]
        _, first = np.unique(run_of, return_index=True)
        owners = self._group_of[0][rows][first]
        for run, owner in enumerate(owners):
            self._table[owner] += self._runs[:, run].sum(0, self._table.dtype)
        self._runs[:, : len(first)] = 0

    def total(self) -> NDArray[Any]:
        self._table[self._last] = self._table[self._last :].sum(0)
        return self._table[: self._last + 1]


def _runs(group_of: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Number the runs of equal groups within each strip of `side` rows, from 0."""
    first = np.arange(len(group_of)) // side * side
    begins = np.append(True, group_of[1:] != group_of[:-1])
    total = begins.cumsum()
    runs: NDArray[np.int64] = total - total[first]
    return runs
