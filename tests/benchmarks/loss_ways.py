"""Every way to compute a loss that `bench_losses.py` compares, and the cost of a step with one."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import plain_losses
import torch
from torch import Tensor

from tcmbench.losses.recall_at_k import RecallAtK
from tcmbench.losses.smooth_ap import SmoothAP
from tcmbench.regularizers.tcm import TCM
from tcmbench.similarity import similarity_matrix

DIMENSION, CLASS_SIZE = 512, 4
SECONDS, TURN = 10, 0.05  # at least, of one comparison and of one of its turns
Batch = tuple[Tensor, Tensor]

BASES = {"smooth_ap": SmoothAP(), "recall_at_k": RecallAtK()}
MARGIN = TCM()


def peer_tcm(batch: Batch) -> Tensor:
    """TCM of pytorch-metric-learning."""
    from pytorch_metric_learning.losses import ThresholdConsistentMarginLoss

    loss: Tensor = ThresholdConsistentMarginLoss()(*batch)
    return loss


def with_margin(name: str, batch: Batch) -> Tensor:
    """A base loss and TCM on one similarity matrix."""
    similarity = similarity_matrix(batch[0])
    base: Tensor = BASES[name](*batch, similarity)
    return base + MARGIN(*batch, similarity)


WAYS: dict[str, Callable[[Batch], Tensor]] = {
    "tcm": lambda batch: MARGIN(*batch),
    "pytorch-metric-learning tcm": peer_tcm,
    "smooth_ap": lambda batch: BASES["smooth_ap"](*batch),
    "B^3 smooth_ap": lambda batch: plain_losses.smooth_ap(batch[0], CLASS_SIZE),
    "smooth_ap + tcm": lambda batch: with_margin("smooth_ap", batch),
    "recall_at_k": lambda batch: BASES["recall_at_k"](*batch),
    "per-query recall_at_k": lambda batch: plain_losses.recall_at_k(batch[0], CLASS_SIZE),
    "recall_at_k + tcm": lambda batch: with_margin("recall_at_k", batch),
}


def batch_of(size: int, device: str) -> Batch:
    """Return unit rows around a centre for each class, so that pairs of both kinds are hard."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(size // CLASS_SIZE, DIMENSION, generator=generator)
    noise = torch.randn(size, DIMENSION, generator=generator)
    rows = torch.nn.functional.normalize(centres.repeat_interleave(CLASS_SIZE, 0) + noise, dim=1)
    return rows.to(device).requires_grad_(), (torch.arange(size) // CLASS_SIZE).to(device)


def step(way: str, batch: Batch, mixed: bool = False) -> Tensor:
    """Take a loss and its gradient at the rows; `mixed` calls the loss inside autocast."""
    batch[0].grad = None
    with torch.autocast(batch[0].device.type, torch.bfloat16, enabled=mixed):
        loss = WAYS[way](batch)
    loss.backward()
    return loss.detach()


def times(ways: Sequence[str], batch: Batch) -> list[float]:
    """Return the median seconds of a step each way, from turns that alternate."""
    for way in ways:
        _turn(way, batch)
    start, taken = time.perf_counter(), [[_turn(way, batch) for way in ways] for _ in range(5)]
    while time.perf_counter() - start < SECONDS:
        taken.append([_turn(way, batch) for way in ways])
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def _turn(way: str, batch: Batch) -> float:
    # Not counted: it finds the caches, and the allocator's free pages, as the other way left them.
    step(way, batch)
    taken: list[float] = []
    while sum(taken) < TURN:
        taken.append(_seconds(way, batch))
    return statistics.median(taken)


def _seconds(way: str, batch: Batch) -> float:
    on_gpu = batch[0].is_cuda
    clock = time.perf_counter if on_gpu or torch.get_num_threads() > 1 else time.process_time
    if on_gpu:
        torch.cuda.synchronize()
    start = clock()
    step(way, batch)
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def peak(way: str, size: int, device: str, threads: int, mixed: bool) -> float:
    """Return the MB (10^6) that one step takes at its peak beyond its inputs; in a new process."""
    torch.set_num_threads(threads)
    step(way, batch_of(2 * CLASS_SIZE, device), mixed)
    batch = batch_of(size, device)
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(way, batch, mixed)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _resident("VmRSS")
    step(way, batch, mixed)
    return (_resident("VmHWM") - before) / 1e6


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
