"""The one pass: float32 similarities of half the matrix, a tile at a time, counted as they come."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from tcmbench.metrics.engine.brackets import Bins
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.plan import Report
from tcmbench.metrics.engine.shares import Share, shared
from tcmbench.metrics.engine.strips import Product
from tcmbench.metrics.engine.threads import one_thread
from tcmbench.metrics.engine.totals import Totals, added

# From here on, numba's import (half a second) is paid back.
_NUMBA_PAYS = 4096


class Counter(Protocol):
    """Takes every negative pair in exactly one strip."""

    def strip(self, rows: slice, product: Product) -> None:
        """Count the negative pairs of these rows with rows after them."""

    def totals(self) -> Totals:
        """Return all counts."""


def count_pairs(
    rows: LabelledRows,
    limits: Tensor,
    bins: Bins,
    side: int,
    engine: str | None,
    report: Report | None,
    devices: Sequence[str] = (),
) -> Totals:
    """Count all negative pairs by similarity, and each row's neighbours above its two limits.

    Args:
        rows: the embeddings.
        limits: [2, N] float32 similarities.
        bins: where to count.
        side: of a tile.
        engine: "numba" or "torch"; by default numba on a CPU where it is installed and pays.
        report: called after each strip of tiles with its number of pairs, N (N - 1) / 2 in all.
        devices: share the strips, see `shared`; the counts are those of one.
    """
    arguments = (limits.cpu(), bins, side, engine or _engine(rows))
    return added(shared(_count_share, rows, devices, arguments, report))


def _count_share(
    rows: LabelledRows,
    share: Share,
    report: Report | None,
    limits: Tensor,
    bins: Bins,
    side: int,
    engine: str,
) -> Totals:
    counter = _counter(engine)(rows, limits.to(rows.unit.device), bins, side)
    count = len(rows)

    def product(left: slice, right: slice, out: Tensor) -> Tensor:
        return torch.mm(rows.unit[left], rows.unit[right].T, out=out)

    # Threads that multiply tiles of their own must not share each product among more.
    with full_precision(), one_thread(engine == "numba"):
        for start in share.of(range(0, count, side)):
            counter.strip(slice(start, min(start + side, count)), product)
            if report is not None:
                # Strips of the other shares, which lie between this one and the next.
                stop = min(start + share.count * side, count)
                report((stop - start) * (2 * count - 1 - start - stop) // 2)
        return counter.totals()


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 as float32, whatever the caller's settings, which come back afterwards."""
    newer = hasattr(torch.backends.cuda.matmul, "fp32_precision")
    with (
        _own_switches() if newer else _common_switch(),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@contextmanager
def _own_switches() -> Iterator[None]:
    """Set torch's switches for each backend, which it has since 2.9."""
    # These decide on both devices, whether they were set or `set_float32_matmul_precision` was,
    # whose own getter fails once they differ from it.
    mkldnn: Any = torch.backends.mkldnn  # its parts are unknown to type checkers
    backends = (torch.backends.cuda.matmul, mkldnn.matmul)
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            # What a backend takes from the one above it, it goes on taking from there.
            backend.fp32_precision = "none"
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision


@contextmanager
def _common_switch() -> Iterator[None]:
    """Set the one switch of an older torch."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _engine(rows: LabelledRows) -> str:
    if rows.unit.is_cuda or importlib.util.find_spec("numba") is None:
        return "torch"
    return "numba" if len(rows) >= _NUMBA_PAYS or "numba" in sys.modules else "torch"


def _counter(engine: str) -> Callable[[LabelledRows, Tensor, Bins, int], Counter]:
    if engine == "numba":
        from tcmbench.metrics.engine.numba_engine import NumbaCounter

        return NumbaCounter
    from tcmbench.metrics.engine.torch_engine import TorchCounter

    return TorchCounter
