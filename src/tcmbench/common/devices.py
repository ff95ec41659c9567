"""Which processor a job works on: one GPU for each job, agreed on through lock files.

Snakemake counts GPUs but does not hand them out, so jobs on one machine agree among themselves:
each locks a file named after its GPU and keeps the lock as long as it lives. The kernel frees the
lock of a process that dies, so none is ever stale.
"""

import fcntl
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from tcmbench.common.errors import UserError

_held: list[int] = []


def claim_device(wanted: str) -> torch.device:
    """Return the device to work on, with a GPU of its own where there is a free one.

    Args:
        wanted: `cpu`, `cuda`, or `auto` for a GPU where there is one.

    Raises:
        UserError: `cuda` is wanted and there is none.
    """
    count = torch.cuda.device_count()
    if wanted == "cuda" and count == 0:
        raise UserError("no GPU is visible to this process; choose cpu to work without one")
    if wanted == "cpu" or count == 0:
        return torch.device("cpu")
    return torch.device("cuda", claim_index(physical_names(count)))


def claim_kind(wanted: str | None) -> str:
    """Make the device of `claim_device` the current one; return "cpu" or "cuda", which mean it.

    Args:
        wanted: `cpu` or `cuda`; None for a GPU where there is one.

    Raises:
        UserError: `cuda` is wanted and there is none.
    """
    device = claim_device(wanted or "auto")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device.type


def uploaded(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on `device`; one that lies on the host gets there without a wait for a GPU.

    Only from pinned memory a GPU copies by itself.
    """
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def physical_names(count: int) -> list[str]:
    """Name the visible GPUs by what `CUDA_VISIBLE_DEVICES` calls them, which all jobs share."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return names if len(names) == count else [str(index) for index in range(count)]


def claim_index(names: list[str], folder: Path | None = None) -> int:
    """Lock the first free GPU and return its position; share one if all are taken.

    Only a limit raised by hand (`--resources gpu=N` beyond the GPUs at hand) leads to sharing;
    the jobs then spread over the GPUs by their process number.
    """
    folder = folder or Path(tempfile.gettempdir())
    for index, name in enumerate(names):
        lock = _opened(folder / f"tcm-bench-gpu-{name.replace('/', '_')}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held.append(lock)
        return index
    return os.getpid() % len(names)


def _opened(path: Path) -> int:
    # Read-only is enough to lock, and all that another user's file in a shared folder allows.
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
