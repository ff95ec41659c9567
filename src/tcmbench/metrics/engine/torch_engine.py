"""Counting with torch, on either device."""

import torch
from torch import Tensor

from tcmbench.metrics.engine.brackets import CELLS, Bins
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.strips import Product, cutter
from tcmbench.metrics.engine.totals import Totals, groups, most

# Below every similarity and every limit.
_NO_PAIR = -4.0


class TorchCounter:
    """Counts tiles of similarities by whole-tensor operations."""

    def __init__(self, rows: LabelledRows, limits: Tensor, bins: Bins, side: int) -> None:
        device = rows.unit.device
        self._bins = bins
        self._limits = limits
        self._class_end = rows.class_end
        self._cutter = cutter(rows, side)
        self._buffer = rows.unit.new_empty(self._cutter.cells)
        group_of, self._groups = groups(rows)
        self._group_of = torch.from_numpy(group_of).to(device)
        dtype = torch.int64 if most(rows) >= 2**31 else torch.int32
        self._table = torch.zeros(self._groups * bins.count, dtype=dtype, device=device)
        self._fine = torch.zeros(bins.fine_cells, dtype=torch.int64, device=device)
        self._ahead = torch.zeros(2, len(rows), dtype=torch.int64, device=device)

    def strip(self, rows: slice, product: Product) -> None:
        """Count the negative pairs of these rows with rows after them."""
        for piece in self._cutter.columns(rows):
            for own, cols in self._cutter.tiles(rows, piece):
                shape = (own.stop - own.start, cols.stop - cols.start)
                out = self._buffer[: shape[0] * shape[1]].view(shape)
                self._count(product(own, cols, out), own, cols)

    def _count(self, similarity: Tensor, rows: slice, cols: slice) -> None:
        if self._cutter.class_end[rows.stop - 1] > cols.start:
            columns = torch.arange(cols.start, cols.stop, device=similarity.device)
            similarity.masked_fill_(columns < self._class_end[rows, None], _NO_PAIR)
        for limit, ahead in zip(self._limits, self._ahead, strict=True):
            # Torch adds up truth values as integers that it writes first: not as larger ones.
            ahead[rows] += (similarity > limit[rows, None]).sum(1, dtype=torch.int32)
            ahead[cols] += (similarity > limit[cols]).sum(0, dtype=torch.int32)
        if self._bins.count > 1:
            self._bin(similarity, rows, cols)

    def _bin(self, similarity: Tensor, rows: slice, cols: slice) -> None:
        bins = self._bins
        last = bins.count - 1
        flat = similarity.flatten()
        # The only place where a CUDA device is waited for, once a tile: adding nothing for each of
        # the nine pairs in ten that are dropped here would take longer.
        near = (flat >= bins.edge).nonzero().squeeze(1)
        cell = ((flat[near] - bins.edge) * CELLS).clamp_(max=last << bins.shift).long()
        place = cell >> bins.shift
        one = self._table.new_ones(1)
        row = rows.start + near // similarity.shape[1]
        col = cols.start + near % similarity.shape[1]
        for end in (row, col):
            self._table.scatter_add_(
                0, self._group_of[end] * bins.count + place, one.expand(len(end))
            )
        if bins.fine_cells:
            upper = place >= bins.high
            fine = (place < bins.low) | (upper & (place < last))
            at = torch.where(fine, cell - upper * bins.skipped_cells, cell % bins.fine_cells)
            self._fine.scatter_add_(0, at, fine.long())

    def totals(self) -> Totals:
        """Return all counts."""
        return Totals(
            by_group=self._table.view(self._groups, -1).cpu().numpy(),
            fine=self._fine.cpu().numpy(),
            ahead=self._ahead,
        )
