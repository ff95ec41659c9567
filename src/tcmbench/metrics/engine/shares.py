"""Counting shared among processes, each with a device: counts add up, so nothing else changes."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
import torch.multiprocessing

from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.plan import Report

Item = TypeVar("Item")
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Share:
    """Every `count`-th of what there is, from number `index` on."""

    index: int = 0
    count: int = 1

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """Return those of this share."""
        return itertools.islice(items, self.index, None, self.count)


_TENSORS = ("unit", "class_of", "source", "class_end")
#: Counts a share of the pairs; what it is told of progress covers all shares.
Work = Callable[..., Part]


def shared(
    work: Work[Part],
    rows: LabelledRows,
    devices: Sequence[str],
    arguments: tuple[Any, ...],
    report: Report | None,
) -> list[Part]:
    """Return what `work(rows, share, report, *arguments)` makes of each share.

    The first is worked on here; a new process works on each other one, with a share of the
    processor's threads.

    Args:
        work: a function of a module.
        rows: the embeddings, on the first device.
        devices: one for each share; none for one share, here.
        arguments: picklable, tensors on the processor.
        report: called with numbers of pairs done, of all shares.
    """
    count = max(1, len(devices))
    if count == 1:
        return [work(rows, Share(), report, *arguments)]
    before = torch.get_num_threads()
    threads = max(1, before // count)
    sent = _moved(rows, "cpu")
    # Now: when it is sent, in a thread, a tensor would be taken from under the work that reads it.
    for value in (*(getattr(sent, name) for name in _TENSORS), *arguments):
        if isinstance(value, torch.Tensor):
            value.share_memory_()
    spawn = torch.multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count - 1, spawn, torch.set_num_threads, (threads,)) as others:
        parts = [
            others.submit(_elsewhere, work, sent, Share(index, count), devices[index], arguments)
            for index in range(1, count)
        ]
        torch.set_num_threads(threads)
        try:
            own = work(rows, Share(0, count), report, *arguments)
        finally:
            torch.set_num_threads(before)
        return [own, *(part.result() for part in parts)]


def _elsewhere(
    work: Work[Part], rows: LabelledRows, share: Share, device: str, arguments: tuple[Any, ...]
) -> Part:
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(device)
    return work(_moved(rows, device), share, None, *arguments)


def _moved(rows: LabelledRows, device: str) -> LabelledRows:
    return replace(rows, **{name: getattr(rows, name).to(device) for name in _TENSORS})
