"""How fast this machine is and how much memory is free, tried out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tcmbench.metrics.engine.counting import full_precision
from tcmbench.metrics.retrieval import map_at_r

_PRODUCT = (2048, 8192)
_MAP_IMAGES = 2048


@dataclass(frozen=True, slots=True)
class Machine:
    """What it is done with.

    Attributes:
        device: "cpu" or "cuda".
        flops: float32 operations a second of a matrix product.
        map_rate: pairs a second of exact MAP@R; infinite where it is not asked for.
        free: bytes of memory that can be had.
        free_on_gpu: bytes on the GPU; None without one.
    """

    device: str
    flops: float
    map_rate: float
    free: int
    free_on_gpu: int | None = None


def this_machine(width: int, device: str, largest: int | None) -> Machine:
    """Measure the device with a product and a small MAP@R, in a second or two.

    Args:
        width: dimensions of the embeddings.
        device: "cpu" or "cuda".
        largest: images of the largest class, for MAP@R; None where it is not asked for.
    """
    free_on_gpu = torch.cuda.mem_get_info()[0] if device == "cuda" else None
    return Machine(
        device, _flops(width, device), _map_rate(width, device, largest), _free(), free_on_gpu
    )


def _flops(width: int, device: str) -> float:
    left, right = (torch.randn(rows, width, device=device) for rows in _PRODUCT)

    def product() -> Tensor:
        return left @ right.T

    with full_precision():
        seconds = min(_seconds(product, device) for _ in range(4))
    return 2 * _PRODUCT[0] * _PRODUCT[1] * width / seconds


def _map_rate(width: int, device: str, largest: int | None) -> float:
    if largest is None:
        return float("inf")
    embeddings = torch.randn(_MAP_IMAGES, width, device=device)
    labels = torch.arange(_MAP_IMAGES) // max(2, min(largest, _MAP_IMAGES))
    seconds = min(_seconds(lambda: map_at_r(embeddings, labels), device) for _ in range(2))
    return _MAP_IMAGES**2 / 2 / seconds


def _seconds(action: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _free() -> int:
    """Return what Linux would give without swapping, within this container's limit."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split(":") for line in lines)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_bytes().strip().isdigit():
        free = min(free, int(limit.read_bytes()) - int(used.read_bytes()))
    return free
