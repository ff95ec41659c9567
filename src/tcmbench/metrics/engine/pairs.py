"""Pairs in float64: squared distances, a square tile at a time, never all of them at once.

Exact, and slower than `counting`, which goes over most pairs of many images. Every unordered pair
appears in exactly one tile.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.threads import spread, workers

_KEPT_CELLS = 1 << 25
_WORTH_THREADS = 512
# Of a tile of positive pairs. A GPU multiplies pairs of other classes along with them in less time
# than it takes to begin another tile.
_SIDE_ON_GPU = 2048


@dataclass(frozen=True, slots=True)
class Tile:
    """Squared distances [r, c] (float32) between two slices of rows; infinity marks no pair."""

    rows: slice
    cols: slice
    squared: Tensor


def tile_side(rows: LabelledRows, block_size: int | None) -> int:
    """Return the side of a tile: `block_size`, or what keeps this device busy in little memory."""
    if block_size is None:
        return 8192 if rows.unit.is_cuda else 512
    if block_size < 1:
        raise UserError(f"block_size is {block_size}; give a positive number of rows")
    return block_size


def squared_distances(rows: LabelledRows, left: slice | Tensor, right: slice | Tensor) -> Tensor:
    """Return |x - y|^2 in [0, 4] between rows, [left, right] float32.

    |x|^2 - 2 x y + |y|^2 in float64. That is exact (see `inputs`), so equal rows are at distance 0
    and equal distances stay equal; only the result is rounded, to float32, which keeps six digits
    of a distance however small it is, as 2 - 2 cos in float32 would not.
    """
    x = rows.unit[left].double()
    y = x if left is right else rows.unit[right].double()
    squares_of_x, squares_of_y = x.square().sum(1), y.square().sum(1)
    return torch.addmm(squares_of_x[:, None], x, y.T, alpha=-2).add_(squares_of_y).float()


@dataclass(frozen=True, slots=True)
class AllTiles:
    """Each unordered pair of rows once; multiplied anew each time."""

    rows: LabelledRows
    side: int

    def __iter__(self) -> Iterator[Tile]:
        for left, right in _upper_parts(0, len(self.rows), self.side):
            squared = squared_distances(self.rows, left, right)
            if left is right:
                below = torch.ones_like(squared, dtype=torch.bool).tril_()
                squared.masked_fill_(below, torch.inf)
            yield Tile(left, right, squared)


class PositiveTiles:
    """Each unordered pair of rows of one class once; kept for the next time where they are few."""

    def __init__(self, rows: LabelledRows) -> None:
        # Of a class as an average image sees it: in a much larger tile few pairs are of one class.
        size = int((rows.sizes**2).sum()) // len(rows)
        self._rows = rows
        self._places = torch.arange(len(rows), device=rows.unit.device)
        self._side = _SIDE_ON_GPU if rows.unit.is_cuda else min(max(2 * size, 128), 1024)
        self._threads = workers() if self.are_small else 1
        self._kept: list[Tile] | None = None

    def __iter__(self) -> Iterator[Tile]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Tile] = []
        cells = 0
        spans = _class_spans(self._rows, self._side)
        parts = (part for span in spans for part in _upper_parts(*span, self._side))
        for tile in spread(self._tile, parts, self._threads):
            cells += tile.squared.numel()
            if cells <= _KEPT_CELLS:
                kept.append(tile)
            else:
                kept.clear()
            yield tile
        if cells <= _KEPT_CELLS:
            self._kept = kept

    def _tile(self, part: tuple[slice, slice]) -> Tile:
        left, right = part
        row, col = self._places[left, None], self._places[right]
        no_pair = (col <= row) | (col >= self._rows.class_end[left, None])
        squared = squared_distances(self._rows, left, right)
        return Tile(left, right, squared.masked_fill_(no_pair, torch.inf))

    @property
    def are_small(self) -> bool:
        """Whether threads would wait for each other more than they work on a tile."""
        return self._side < _WORTH_THREADS


def _upper_parts(start: int, stop: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Cut the pairs within rows start..stop into squares on and above the diagonal."""
    slices = [slice(at, min(at + side, stop)) for at in range(start, stop, side)]
    for index, left in enumerate(slices):
        for right in slices[index:]:
            yield left, right


def _class_spans(rows: LabelledRows, side: int) -> Iterator[tuple[int, int]]:
    """Group neighbouring whole classes into spans of at most `side` rows (or one big class).

    Many small classes share a tile: one product for a thousand classes instead of a thousand.
    """
    start = stop = 0
    for end in np.cumsum(rows.sizes).tolist():
        if end - start > side:
            yield start, stop
            start = stop
        stop = end
    yield start, stop
