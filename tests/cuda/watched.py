"""A real GPU behind the same face as the pretended one, so that one set of tests asks both."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tests.cuda.rules import place

WAIT = "called a synchronizing CUDA operation"


class Watched:
    """What is seen of a real GPU.

    Attributes:
        waits: what made the host wait, and where, in order.
    """

    def __init__(self) -> None:
        self.waits: list[str] = []
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        self._before = torch.cuda.memory_allocated()

    @property
    def memory(self) -> int:
        """Bytes on the GPU now, beyond those before."""
        return torch.cuda.memory_allocated() - self._before

    @property
    def peak(self) -> int:
        """The most there were."""
        return torch.cuda.max_memory_allocated() - self._before


@contextmanager
def watched() -> Iterator[Watched]:
    """Note each wait that torch warns of, while pytest keeps the warnings of the test."""
    seen = Watched()
    show = warnings.showwarning

    def noted(message, category, *where, **more):
        if WAIT in str(message):
            seen.waits.append(f"a wait in {place()}")
        else:
            show(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = noted
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode(mode)
