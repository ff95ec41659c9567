"""Counting on the CPU with numba: each thread multiplies and counts tiles of its own."""

from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.brackets import CELLS, Bins
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.strips import Product, cutter
from tcmbench.metrics.engine.thread_tables import tables
from tcmbench.metrics.engine.threads import pool, workers
from tcmbench.metrics.engine.totals import Totals


class NumbaCounter:
    """Counts tiles of similarities: what `TorchCounter` counts, with any number of threads."""

    def __init__(self, rows: LabelledRows, limits: Tensor, bins: Bins, side: int) -> None:
        from tcmbench.metrics.engine import numba_kernel

        self._kernel = numba_kernel
        self._threads = workers()
        self._pool = pool(self._threads)
        self._jobs: deque[Future[None]] = deque()
        self._idle: SimpleQueue[int] = SimpleQueue()
        for thread in range(self._threads):
            self._idle.put(thread)
        self._bins = bins
        self._limits = limits.numpy()
        self._cutter = cutter(rows, side)
        self._buffers = rows.unit.new_empty(self._threads, self._cutter.cells)
        self._tables = tables(rows, bins, side, self._threads)
        self._fine = np.zeros((self._threads, bins.fine_cells), np.int64)
        self._ahead = np.zeros((self._threads, 2, len(rows)), np.int32)

    def strip(self, rows: slice, product: Product) -> None:
        """Count the negative pairs of these rows with rows after them."""
        # Narrow pieces last: where threads wait for each other at the end, then not for long.
        for piece in reversed(list(self._cutter.columns(rows))):
            self._jobs.append(self._pool.submit(self._work, rows, piece, product))
            self._wait(2 * self._threads)
        self._tables.end_strip(rows, self._wait)

    def _wait(self, left: int = 0) -> None:
        """Wait until so few jobs are left, and raise what one of the others raised."""
        while len(self._jobs) > left:
            self._jobs.popleft().result()

    def _work(self, rows: slice, piece: slice, product: Product) -> None:
        thread = self._idle.get()
        try:
            for own, cols in self._cutter.tiles(rows, piece):
                shape = (own.stop - own.start, cols.stop - cols.start)
                out = self._buffers[thread][: shape[0] * shape[1]].view(shape)
                self._count(thread, product(own, cols, out).numpy(), own.start, cols.start)
        finally:
            self._idle.put(thread)

    def _count(self, thread: int, tile: NDArray[np.float32], row: int, col: int) -> None:
        bins, class_end, ahead = self._bins, self._cutter.class_end, self._ahead[thread]
        for limit, own in zip(self._limits, ahead, strict=True):
            self._kernel.rank_tile(tile, row, col, class_end, limit, own)
        group_of, table, run_of, runs = self._tables.of(thread)
        self._kernel.bin_tile(
            tile, row, col, class_end,
            group_of, run_of, np.float32(bins.edge), np.float32(CELLS),
            (bins.shift, bins.count, bins.low, bins.high),
            table, runs, self._fine[thread],
        )  # fmt: skip

    def totals(self) -> Totals:
        """Return all counts; the counter is used up."""
        self._wait()
        self._pool.shutdown()
        return Totals(
            by_group=self._tables.total(),
            fine=self._fine.sum(0),
            ahead=torch.from_numpy(self._ahead.sum(0, np.int64)),
        )
