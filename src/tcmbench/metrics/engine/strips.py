"""Cutting the negative pairs of a strip of rows into tiles of similarities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.inputs import LabelledRows

#: Writes the similarities of two slices of rows into a tensor of their shape, and returns it.
Product = Callable[[slice, slice, Tensor], Tensor]
_NARROWER = 4


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts strips of rows into tiles of at most `side` x 2 `side`.

    Attributes:
        class_end: [N] of the rows.
        side: most rows of a tile.
    """

    class_end: NDArray[np.int64]
    side: int

    @property
    def cells(self) -> int:
        """Size of the largest tile."""
        count = len(self.class_end)
        return min(self.side, count) * min(2 * self.side, count)

    def columns(self, rows: slice) -> Iterator[slice]:
        """Cut the columns with negative pairs of a strip; no class is in two pieces.

        Pieces are about `side` wide, and narrower next to the diagonal, where much of a tile would
        have no pair.
        """
        left = int(self.class_end[rows.start])
        while left < len(self.class_end):
            step = max(self.side // _NARROWER, 1) if left < rows.stop else self.side
            last = min(left + step, len(self.class_end)) - 1
            right = int(self.class_end[last])
            yield slice(left, right)
            left = right

    def tiles(self, rows: slice, columns: slice) -> Iterator[tuple[slice, slice]]:
        """Cut a strip's piece of columns; rows at its end that have no pair there are left out."""
        for left in range(columns.start, columns.stop, 2 * self.side):
            right = min(left + 2 * self.side, columns.stop)
            count = int(np.searchsorted(self.class_end[rows], right))
            if count:
                yield slice(rows.start, rows.start + count), slice(left, right)


def cutter(rows: LabelledRows, side: int) -> Cutter:
    """Return the cutter of these rows."""
    return Cutter(rows.class_end.cpu().numpy(), side)
