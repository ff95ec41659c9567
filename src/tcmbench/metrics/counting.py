"""The one pass: float32 similarities of half the matrix, a tile at a time, counted as they come."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from tcmbench.metrics.brackets import Bins
from tcmbench.metrics.inputs import LabelledRows
from tcmbench.metrics.plan import Report
from tcmbench.metrics.totals import Totals

# From here on, numba's import (half a second) is paid back.
_NUMBA_PAYS = 4096
_COLUMNS_PER_ROW = 4


class Counter(Protocol):
    """Takes every negative pair in exactly one tile."""

    def add(self, similarity: Tensor, rows: slice, cols: slice) -> None:
        """Count a tile."""

    def end_strip(self, rows: slice) -> None:
        """All tiles of these rows have been added."""

    def totals(self) -> Totals:
        """Return all counts."""


def count_pairs(
    rows: LabelledRows,
    limits: Tensor,
    bins: Bins,
    side: int,
    engine: str | None,
    report: Report | None,
) -> Totals:
    """Count all negative pairs by similarity, and each row's neighbours above its two limits.

    Args:
        rows: the embeddings.
        limits: [2, N] float32 similarities.
        bins: where to count.
        side: rows of a tile; it has four times as many columns.
        engine: "numba" or "torch"; by default numba on a CPU where it is installed and pays.
        report: called after each strip of tiles with its number of pairs, N (N - 1) / 2 in all.
    """
    counter = _counter(engine or _engine(rows))(rows, limits, bins, side)
    count, width = len(rows), side * _COLUMNS_PER_ROW
    buffer = rows.unit.new_empty(min(side, count) * min(width, count))
    for start in range(0, count, side):
        strip = slice(start, min(start + side, count))
        for left in range(int(rows.class_end[start]), count, width):
            cols = slice(left, min(left + width, count))
            shape = (strip.stop - start, cols.stop - left)
            tile = buffer[: shape[0] * shape[1]].view(shape)
            torch.mm(rows.unit[strip], rows.unit[cols].T, out=tile)
            counter.add(tile, strip, cols)
        counter.end_strip(strip)
        if report is not None:
            report((strip.stop - start) * (2 * count - 1 - start - strip.stop) // 2)
    return counter.totals()


@contextmanager
def one_thread(where: bool) -> Iterator[None]:
    """Use one thread, where that is so, for operations too small to be shared."""
    before = torch.get_num_threads()
    if where:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 as float32, whatever the caller's settings, which come back afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _engine(rows: LabelledRows) -> str:
    if rows.unit.is_cuda or importlib.util.find_spec("numba") is None:
        return "torch"
    return "numba" if len(rows) >= _NUMBA_PAYS or "numba" in sys.modules else "torch"


def _counter(engine: str) -> Callable[[LabelledRows, Tensor, Bins, int], Counter]:
    if engine == "numba":
        from tcmbench.metrics.numba_engine import NumbaCounter

        return NumbaCounter
    from tcmbench.metrics.torch_engine import TorchCounter

    return TorchCounter
