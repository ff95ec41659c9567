"""What every metric takes in: checked, L2-normalised embeddings, sorted by class."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.labels import Labels, checked_labels
from tcmbench.metrics.engine.threads import spread, workers

Embeddings: TypeAlias = NDArray[Any] | Tensor
Device: TypeAlias = torch.device | str | None

# Unit rows are rounded to multiples of 2^-24, which float32 holds exactly up to 1. Their products
# are then multiples of 2^-48 and every sum of them stays below 8, so float64 adds them without
# rounding: a distance has the same bits whatever the tile, the row order, the library or device.
_GRID = 2.0**24
# Float64 copies of so few rows stay in the cache.
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Unit rows in class order: rows of one class are adjacent.

    Attributes:
        unit: [N, D] float32, each entry a multiple of 2^-24.
        class_of: [N] int64, index into `classes`, ascending.
        source: [N] int64, the input row that each row came from.
        classes: [C] the labels present, ascending, in their own integer type, native byte order.
        sizes: [C] int64, number of images of each class.
        class_end: [N] int64, one past the last row of each row's class.
    """

    unit: Tensor
    class_of: Tensor
    source: Tensor
    classes: NDArray[Any]
    sizes: NDArray[np.int64]
    class_end: Tensor

    def __len__(self) -> int:
        return self.unit.shape[0]

    @property
    def negatives(self) -> NDArray[np.int64]:
        """Number [C] of negative pairs of each class: those with exactly one image in it."""
        return self.sizes * (len(self) - self.sizes)

    @property
    def positives(self) -> NDArray[np.int64]:
        """Number [C] of positive pairs of each class, each unordered pair once."""
        return self.sizes * (self.sizes - 1) // 2


def checked_ks(k: Iterable[int]) -> tuple[int, ...]:
    """Return the numbers of neighbours, each >= 1."""
    wanted = tuple(int(number) for number in k)
    if any(number < 1 for number in wanted):
        raise UserError(f"k is {min(wanted)}; count neighbours from 1")
    return wanted


def prepare(embeddings: Embeddings, labels: Labels, device: Device = None) -> LabelledRows:
    """Check, normalise and sort by class; any float or integer type is taken up to float64 first.

    Args:
        embeddings: [N, D], N >= 2, of any length: rows are L2-normalised here.
        labels: [N] integers.
        device: where the rows go; by default where the embeddings are (NumPy: the CPU).

    Raises:
        UserError: wrong shape or type, NaN, infinity, a row of zeros, no such device.
    """
    target = _device(embeddings, device)
    embeddings = _checked_embeddings(embeddings)
    names = checked_labels(labels, rows=embeddings.shape[0])
    classes, class_of, sizes = np.unique(names, return_inverse=True, return_counts=True)
    order = np.argsort(class_of)
    return LabelledRows(
        unit=torch.from_numpy(_unit_rows(embeddings, order)).to(target),
        class_of=torch.from_numpy(class_of[order]).to(target),
        source=torch.from_numpy(order).to(target),
        classes=classes,
        sizes=sizes.astype(np.int64),
        class_end=torch.from_numpy(np.repeat(sizes.cumsum(), sizes)).to(target),
    )


def _device(embeddings: Embeddings, wanted: Device) -> torch.device:
    if wanted is None:
        return embeddings.device if isinstance(embeddings, Tensor) else torch.device("cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is visible here; use the device 'cpu'")
    return device


def _checked_embeddings(embeddings: Embeddings) -> Embeddings:
    if isinstance(embeddings, Tensor):
        embeddings = embeddings.detach()
        numeric = embeddings.dtype != torch.bool and not embeddings.is_complex()
    else:
        embeddings = np.asarray(embeddings)
        numeric = embeddings.dtype.kind in "fiu"
    if not numeric:
        raise UserError(f"embeddings are {embeddings.dtype}; give real numbers such as float32")
    shape = tuple(embeddings.shape)
    if len(shape) != 2:
        raise UserError(f"embeddings have shape {shape}; give one row an image: [N, D]")
    if shape[0] < 2 or shape[1] < 1:
        raise UserError(f"embeddings have shape {shape}; at least two images are needed")
    return embeddings


def _unit_rows(embeddings: Embeddings, order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Normalise in the given order, a few rows at a time: one float32 copy, no other.

    The input is read from front to back, as a memory-mapped file likes it.
    """
    count, width = embeddings.shape
    unit = np.empty((count, width), np.float32)
    place = np.empty_like(order)
    place[order] = np.arange(count)

    def fill(start: int) -> tuple[list[int], list[int]]:
        rows = _float64(embeddings[start : start + _ROWS_AT_A_TIME])
        # The largest entry is divided out first: squares of huge or tiny entries leave float64.
        largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
        bad = start + np.flatnonzero(~np.isfinite(largest))
        zero = start + np.flatnonzero(largest == 0)
        if not len(bad) and not len(zero):
            rows /= largest[:, None]
            # The norms, of which there are fewer than entries, are brought to the grid: a power of
            # two alters no digit.
            rows /= (np.sqrt((rows * rows).sum(axis=1)) / _GRID)[:, None]
            np.rint(rows, out=rows)
            unit[place[start : start + len(rows)]] = np.multiply(rows, 1 / _GRID, out=rows)
        return bad.tolist(), zero.tolist()

    found = list(spread(fill, range(0, count, _ROWS_AT_A_TIME), workers()))
    bad, zero = ([row for part in which for row in part] for which in zip(*found, strict=True))
    if bad:
        raise UserError(f"embeddings hold NaN or infinity in {_listed(bad)}; recompute them")
    if zero:
        raise UserError(f"embeddings are all zero in {_listed(zero)}; they have no direction")
    return unit


def _float64(rows: Embeddings) -> NDArray[np.float64]:
    # Always on the CPU and in C order, so that the bits of a norm do not depend on the device.
    if isinstance(rows, Tensor):
        rows = rows.cpu().double().numpy()
    return np.array(rows, dtype=np.float64, order="C")


def _listed(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return f"row {shown}" if len(rows) == 1 else f"{len(rows)} rows ({shown})"
