"""Counting on the CPU with numba: each thread multiplies and counts tiles of its own."""

from queue import Empty, SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.brackets import CELLS, Bins
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.strips import Product, cutter
from tcmbench.metrics.engine.threads import pool, workers
from tcmbench.metrics.engine.totals import Totals, groups, most


class NumbaCounter:
    """Counts tiles of similarities; the same counts as `TorchCounter`, for any number of threads.

    No class is in the columns of two threads at once. What threads would share, each has for
    itself: the classes of the strip's rows, and all classes that share the last group.
    """

    def __init__(self, rows: LabelledRows, limits: Tensor, bins: Bins, side: int) -> None:
        from tcmbench.metrics.engine import numba_kernel

        self._kernel = numba_kernel
        self._threads = workers()
        self._pool = pool(self._threads)
        self._bins = bins
        self._limits = limits.numpy()
        self._cutter = cutter(rows, side)
        self._buffers = rows.unit.new_empty(self._threads, self._cutter.cells)
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
        self._ahead = np.zeros((self._threads, 2, len(rows)), np.int32)

    def strip(self, rows: slice, product: Product) -> None:
        """Count the negative pairs of these rows with rows after them."""
        pieces: SimpleQueue[slice] = SimpleQueue()
        for piece in self._cutter.columns(rows):
            pieces.put(piece)
        jobs = [
            self._pool.submit(self._work, thread, rows, pieces, product)
            for thread in range(self._threads)
        ]
        for job in jobs:
            job.result()
        self._bring_home(rows)

    def _work(self, thread: int, rows: slice, pieces: SimpleQueue[slice], product: Product) -> None:
        """Take pieces of columns while there are some."""
        buffer = self._buffers[thread]
        while True:
            try:
                piece = pieces.get_nowait()
            except Empty:
                return
            for own, cols in self._cutter.tiles(rows, piece):
                shape = (own.stop - own.start, cols.stop - cols.start)
                out = buffer[: shape[0] * shape[1]].view(shape)
                self._count(thread, product(own, cols, out).numpy(), own.start, cols.start)

    def _count(self, thread: int, tile: NDArray[np.float32], row: int, col: int) -> None:
        bins, class_end, ahead = self._bins, self._cutter.class_end, self._ahead[thread]
        for limit, own in zip(self._limits, ahead, strict=True):
            self._kernel.rank_tile(tile, row, col, class_end, limit, own)
        self._kernel.bin_tile(
            tile, row, col, class_end,
            self._group_of[thread], self._run_of, np.float32(bins.edge), np.float32(CELLS),
            (bins.shift, bins.count, bins.low, bins.high),
            self._table, self._runs[thread], self._fine[thread],
        )  # fmt: skip

    def _bring_home(self, rows: slice) -> None:
        """Add the counts of a strip's own classes to those of all."""
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
            ahead=torch.from_numpy(self._ahead.sum(0, np.int64)),
        )


def _runs(group_of: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Number the runs of equal groups within each strip of `side` rows, from 0."""
    first = np.arange(len(group_of)) // side * side
    begins = np.append(True, group_of[1:] != group_of[:-1])
    total = begins.cumsum()
    runs: NDArray[np.int64] = total - total[first]
    return runs
