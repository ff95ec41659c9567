"""Pairs in float64: squared distances, a square tile at a time, never all of them at once.

Exact, and slower than `counting`, which goes over most pairs of many images. Every unordered pair
appears in exactly one tile.
"""

import math
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

    One float64 product of [-2x, |x|^2, 1] and [y, 1, |y|^2]. It is exact (see `inputs`), so equal
    rows are at distance 0 and equal distances stay equal; only the result is rounded, to float32,
    which keeps six digits of a distance however small it is, as 2 - 2 cos in float32 would not.
    """
    x, y = rows.unit[left].double(), rows.unit[right].double()
    one_x, one_y = x.new_ones(len(x), 1), y.new_ones(len(y), 1)
    extended_x = torch.cat([-2 * x, x.square().sum(1, keepdim=True), one_x], dim=1)
    extended_y = torch.cat([y, one_y, y.square().sum(1, keepdim=True)], dim=1)
    return (extended_x @ extended_y.T).float()


@dataclass(frozen=True, slots=True)
class AllTiles:
    """Each unordered pair of rows once; multiplied anew each time."""

    rows: LabelledRows
    side: int

    def __iter__(self) -> Iterator[Tile]:
        for part in _upper_parts(0, len(self.rows), self.side):
            yield _tile(self.rows, *part)


class PositiveTiles:
    """Each unordered pair of rows of one class once; kept for the next time where they are few."""

    def __init__(self, rows: LabelledRows) -> None:
        # As an average image sees it: a larger tile would hold few pairs of one class.
        size = int((rows.sizes**2).sum()) / len(rows)
        self._rows = rows
        self._side = 1 << min(max(math.ceil(math.log2(size)), 7), 10)
        if rows.unit.is_cuda:
            self._side = _SIDE_ON_GPU
        self._threads = workers() if self.are_small and not rows.unit.is_cuda else 1
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
        tile = _tile(self._rows, *part)
        class_of = self._rows.class_of
        differ = class_of[tile.rows, None] != class_of[None, tile.cols]
        tile.squared.masked_fill_(differ, torch.inf)
        return tile

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


def _tile(rows: LabelledRows, left: slice, right: slice) -> Tile:
    squared = squared_distances(rows, left, right)
    if left == right:
        below = torch.ones_like(squared, dtype=torch.bool).tril_()
        squared.masked_fill_(below, torch.inf)
    return Tile(left, right, squared)


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
