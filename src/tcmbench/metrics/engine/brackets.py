"""Where to count similarities finely: bins around the calibration range, guessed from a sample."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.metrics.engine.inputs import LabelledRows

# A cell is as wide as float32 numbers near 1 are apart twice over: finer would count rounding.
CELLS = 1 << 23
CELL = 1 / CELLS
_SAMPLED_PAIRS = 1 << 18
_BLOCKS_AT_A_TIME = 128
_MOST_BINS = 1 << 13
# At 8 bytes for each thread.
_MOST_FINE_CELLS = 1 << 21


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins of similarity above `edge`; the last, number `count` - 1, is open upwards.

    A similarity s falls into cell floor((s - edge) / CELL), and 2^shift cells are a bin. In bins
    0..low and high..count - 1 (upper ends left out), where the ends of the calibration range are
    expected, the cells are counted too.
    """

    edge: float
    shift: int
    count: int
    low: int
    high: int

    @property
    def fine_cells(self) -> int:
        """Number of cells counted."""
        return (self.low + self.count - 1 - self.high) << self.shift

    @property
    def skipped_cells(self) -> int:
        """Number of cells between the two fine ranges."""
        return (self.high - self.low) << self.shift


#: Counts no similarity at all: a pass that only ranks neighbours.
NO_BINS = Bins(edge=9.0, shift=0, count=1, low=0, high=0)


def around_rates(rows: LabelledRows, far_range: tuple[float, float], cells: int) -> Bins | None:
    """Return bins for unknown ends at two false accept rates, from a sample of negative pairs.

    The sample can err eight standard deviations before an end leaves its fine range, which the
    reader of the counts sees. None where the sample is too small or too uneven for fine ranges.

    Args:
        rows: the embeddings.
        far_range: two rates, low and high.
        cells: the largest number of bins wanted.
    """
    sample = _sampled_negatives(rows)
    if len(sample) == 0:
        return None
    places = [place for rate in far_range for place in _bracket(len(sample), rate)]
    ascending = np.partition(sample, [len(sample) - 1 - place for place in places])
    top, below_top, above_edge, edge = (float(ascending[-1 - place]) for place in places)
    return _bins(edge, above_edge, below_top, top, cells)


def around_distances(d_min: float, d_max: float, cells: int) -> Bins | None:
    """Return bins for ends that are known; no cells are counted."""
    low, high = 1 - d_max**2 / 2, 1 - d_min**2 / 2
    return _bins(low, low, high, high, cells, fine=False)


def _bracket(count: int, rate: float) -> tuple[int, int]:
    """Return places from the top surely before and surely after that of a false accept rate."""
    margin = 8 / math.sqrt(max(rate * count, 1)) + 0.02
    before = max(math.floor(rate * (1 - margin) * count) - 1, 0)
    after = min(math.ceil(rate * (1 + margin) * count), count - 1)
    return before, after


def _bins(
    edge: float, above_edge: float, below_top: float, top: float, cells: int, fine: bool = True
) -> Bins | None:
    edge = float(np.float32(edge - 4 * CELL))
    span = math.ceil((top - edge) * CELLS) + 4
    shift = max(math.ceil(math.log2(span / max(min(cells, _MOST_BINS) - 4, 1))), 0)
    # An even number of bins below the open one: accuracy is judged by merging them in twos.
    closed = 2 * (((span >> shift) + 3) // 2)
    low = min((math.ceil((above_edge - edge) * CELLS) >> shift) + 2, closed)
    high = max((math.floor((below_top - edge) * CELLS) >> shift) - 1, low)
    bins = Bins(edge, shift, closed + 1, *((low, high) if fine else (0, closed)))
    return bins if bins.fine_cells <= _MOST_FINE_CELLS else None


def _sampled_negatives(rows: LabelledRows) -> NDArray[np.float32]:
    """Return similarities of a sample of negative pairs.

    All pairs within blocks of a random order: every row is in as many pairs as any other, so rows
    that are near to all others cannot tilt the sample.
    """
    count = len(rows)
    width = min(count, max(_SAMPLED_PAIRS // count, 32))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    blocks = order[: count // width * width].view(-1, width).to(rows.unit.device)
    once = torch.ones(width, width, dtype=torch.bool, device=rows.unit.device).triu_(1)
    found = []
    for some in blocks.split(_BLOCKS_AT_A_TIME):
        # A third of the time of unit[some].
        unit = rows.unit.index_select(0, some.flatten()).view(*some.shape, -1)
        similarity = torch.bmm(unit, unit.transpose(1, 2))
        classes = rows.class_of[some]
        differ = classes[:, :, None] != classes[:, None, :]
        found.append(similarity.masked_select(once & differ))
    return torch.cat(found).cpu().numpy()
