"""The pass over pairs: squared distances, a square tile at a time, never all of them at once.

This is the one place that multiplies embeddings. A faster kernel replaces the inside of this file;
its callers only need every unordered pair to appear in exactly one tile.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tcmbench.errors import UserError
from tcmbench.metrics.inputs import LabelledRows


@dataclass(frozen=True, slots=True)
class Tile:
    """Squared distances [r, c] (float32) between two slices of rows; infinity marks no pair."""

    rows: slice
    cols: slice
    squared: Tensor


def tile_side(rows: LabelledRows, block_size: int | None) -> int:
    """Return the side of a tile: `block_size`, or what keeps this device busy in little memory."""
    if block_size is None:
        return 4096 if rows.unit.is_cuda else 1024
    if block_size < 1:
        raise UserError(f"block_size is {block_size}; give a positive number of rows")
    return block_size


def squared_distances(rows: LabelledRows, left: slice, right: slice) -> Tensor:
    """Return |x - y|^2 in [0, 4] between two slices of rows, [left, right] float32.

    One float64 product of [-2x, |x|^2, 1] and [y, 1, |y|^2]. It is exact (see `inputs`), so equal
    rows are at distance 0 and equal distances stay equal; only the result is rounded, to float32,
    which keeps six digits of a distance however small it is, as 2 - 2 cos in float32 would not.
    """
    x, y = rows.unit[left].double(), rows.unit[right].double()
    one_x, one_y = x.new_ones(len(x), 1), y.new_ones(len(y), 1)
    extended_x = torch.cat([-2 * x, x.square().sum(1, keepdim=True), one_x], dim=1)
    extended_y = torch.cat([y, one_y, y.square().sum(1, keepdim=True)], dim=1)
    return (extended_x @ extended_y.T).float()


def all_pairs(rows: LabelledRows, side: int) -> Iterator[Tile]:
    """Yield each unordered pair of rows once."""
    return _upper_tiles(rows, 0, len(rows), side)


def positive_pairs(rows: LabelledRows, side: int) -> Iterator[Tile]:
    """Yield each unordered pair of rows of one class once."""
    for start, stop in _class_spans(rows, side):
        for tile in _upper_tiles(rows, start, stop, side):
            differ = rows.class_of[tile.rows, None] != rows.class_of[None, tile.cols]
            tile.squared.masked_fill_(differ, torch.inf)
            yield tile


def _upper_tiles(rows: LabelledRows, start: int, stop: int, side: int) -> Iterator[Tile]:
    """Cut the pairs within rows start..stop into tiles on and above the diagonal."""
    slices = [slice(at, min(at + side, stop)) for at in range(start, stop, side)]
    for index, left in enumerate(slices):
        for right in slices[index:]:
            squared = squared_distances(rows, left, right)
            if left == right:
                below = torch.ones_like(squared, dtype=torch.bool).tril_()
                squared.masked_fill_(below, torch.inf)
            yield Tile(left, right, squared)


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
