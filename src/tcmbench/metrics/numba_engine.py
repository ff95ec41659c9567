"""Counting on the CPU with numba: threads share a tile, each a stripe of its columns."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.brackets import CELLS, Bins
from tcmbench.metrics.inputs import LabelledRows
from tcmbench.metrics.totals import Totals, groups, most


class NumbaCounter:
    """Counts tiles of similarities; the same counts as `TorchCounter`, for any number of threads.

    A stripe ends where a class ends, so no two threads write to a class of the columns. What they
    would share, each has for itself: the classes of the tile's rows, and all classes that share
    the last group.
    """

    def __init__(self, rows: LabelledRows, limits: Tensor, bins: Bins, side: int) -> None:
        from tcmbench.metrics import numba_kernel

        self._count = numba_kernel.count_stripe
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._threads)
        self._bins = bins
        self._limits = limits.numpy()
        self._class_end = rows.class_end.numpy()
        group_of, self._groups = groups(rows)
        self._group_of = [
            np.where(group_of == self._groups - 1, group_of + thread, group_of)
            for thread in range(self._threads)
        ]
        dtype = np.int64 if most(rows) >= 2**31 else np.int32
        self._table = np.zeros((self._groups - 1 + self._threads, bins.count), dtype)
        self._run_of = _runs(group_of, side)
        shape = (self._threads, int(self._run_of.max()) + 1, bins.count)
        self._runs = np.zeros(shape, dtype)
        self._fine = np.zeros((self._threads, bins.fine_cells), np.int64)
        self._row_counts = np.zeros((self._threads, 2, len(rows)), np.int32)
        self._col_counts = np.zeros((2, len(rows)), np.int32)

    def add(self, similarity: Tensor, rows: slice, cols: slice) -> None:
        """Count a tile [rows, cols]."""
        tile = similarity.numpy()
        edges = [cols.start]
        for thread in range(1, self._threads):
            middle = cols.start + (cols.stop - cols.start) * thread // self._threads
            edges.append(min(max(edges[-1], int(self._class_end[middle - 1])), cols.stop))
        edges.append(cols.stop)
        jobs = [
            self._pool.submit(
                self._stripe, thread, tile, rows.start, cols.start, *edges[thread:][:2]
            )
            for thread in range(self._threads)
        ]
        for job in jobs:
            job.result()

    def _stripe(
        self, thread: int, tile: object, first_row: int, first_col: int, start: int, stop: int
    ) -> None:
        bins = self._bins
        self._count(
            tile, first_row, first_col, start, stop,
            self._class_end, self._group_of[thread], self._run_of, self._limits,
            np.float32(bins.edge), np.float32(CELLS),
            (bins.shift, bins.count, bins.low, bins.high),
            self._table, self._runs[thread], self._fine[thread],
            self._row_counts[thread], self._col_counts,
        )  # fmt: skip

    def end_strip(self, rows: slice) -> None:
        """Bring the counts of a strip's rows home, after its last tile."""
        run_of = self._run_of[rows]
        _, first = np.unique(run_of, return_index=True)
        owners = self._group_of[0][rows][first]
        for run, owner in enumerate(owners):
            self._table[owner] += self._runs[:, run].sum(0, self._table.dtype)
        self._runs[:, : len(first)] = 0

    def totals(self) -> Totals:
        """Return all counts; the counter is used up."""
        self._pool.shutdown()
        last = self._groups - 1
        self._table[last] = self._table[last:].sum(0)
        return Totals(
            by_group=self._table[: self._groups],
            fine=self._fine.sum(0),
            ahead=torch.from_numpy(self._row_counts.sum(0) + self._col_counts).long(),
        )


def _runs(group_of: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Number the runs of equal groups within each strip of `side` rows, from 0."""
    first = np.arange(len(group_of)) // side * side
    begins = np.append(True, group_of[1:] != group_of[:-1])
    total = begins.cumsum()
    runs: NDArray[np.int64] = total - total[first]
    return runs
