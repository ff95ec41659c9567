"""Which processor a job works on: GPUs of its own for each job, agreed on through lock files.

Snakemake counts GPUs but does not hand them out, and two of it know nothing of each other, so jobs
on one machine agree among themselves: each locks a file named after its GPU, keeps the lock as long
as it lives, and waits where none is free. The kernel frees the lock of a process that dies, so none
is ever stale.
"""

import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from tcmbench.common.errors import UserError

_held: dict[str, int] = {}


def claim_device(wanted: str) -> torch.device:
    """Return the device to work on; a GPU is this process's own, and waited for.

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
    return torch.device("cuda", *claim_indices(physical_names(count)))


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


def named_devices(names: str | None) -> list[str]:
    """Return the devices of a list such as `cuda:0,cuda:1`, of which the first is made the current.

    They are taken as named, whatever other jobs do; without a list there are none.

    Raises:
        UserError: a name of no device, of one that is not visible, or of two kinds.
    """
    if names is None:
        return []
    found = [name.strip() for name in names.split(",")]
    try:
        devices = [torch.device(name) for name in found]
    except RuntimeError:
        raise UserError(f"'{names}' names no devices; write cuda:0,cuda:1 or cpu,cpu") from None
    kinds, visible = {device.type for device in devices}, torch.cuda.device_count()
    if len(kinds) > 1 or not kinds <= {"cpu", "cuda"}:
        raise UserError(f"'{names}' are of several kinds, which round differently; name one kind")
    if "cuda" in kinds:
        if any(device.index is None or device.index >= visible for device in devices):
            raise UserError(
                f"'{names}' names GPUs that are not here: {visible} are visible, from cuda:0 on"
            )
        torch.cuda.set_device(devices[0])
    return found


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


def claim_visible(count: int) -> None:
    """Wait for `count` free GPUs and let the processes that are started from now on see no others.

    Raises:
        UserError: fewer are visible.
    """
    visible = torch.cuda.device_count()
    if visible < count:
        raise UserError(
            f"this run takes {count} GPUs and {visible} are visible; lower gpus_per_run, or give "
            "it more"
        )
    names = physical_names(visible)
    taken = claim_indices(names, count)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[index] for index in taken)


def claim_indices(
    names: list[str], count: int = 1, folder: Path | None = None, look_s: float = 2.0
) -> list[int]:
    """Lock the first free GPUs and return their positions; wait until there are as many.

    All or none are locked, so that two runs never wait for what the other has. What this process
    holds already is free for it.

    Args:
        names: of the visible GPUs.
        count: how many, up to the number of names.
        folder: of the lock files.
        look_s: seconds between two looks.
    """
    folder = folder or Path(tempfile.gettempdir())
    told = False
    while True:
        locks = {name: lock for name in names if (lock := _locked(name, folder)) is not None}
        wanted = [index for index, name in enumerate(names) if name in locks][:count]
        kept = {names[index] for index in wanted} if len(wanted) == count else set()
        for name in locks.keys() - kept - _held.keys():
            os.close(locks[name])
        if kept:
            _held.update({name: locks[name] for name in kept})
            return wanted
        if not told:
            print(
                f"waiting for {count} of {len(names)} GPUs: other jobs have them", file=sys.stderr
            )
            told = True
        time.sleep(look_s)


def _locked(name: str, folder: Path) -> int | None:
    """Return the lock of a GPU, None where another process has it."""
    if name in _held:
        return _held[name]
    # Within a job of Slurm, GPUs may be numbered anew: there the number says nothing to other jobs,
    # and Slurm gives each its own.
    job = os.environ.get("SLURM_JOB_ID", "")
    lock = _opened(folder / f"tcm-bench-gpu-{job and job + '-'}{name.replace('/', '_')}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _opened(path: Path) -> int:
    # Read-only is enough to lock, and all that another user's file in a shared folder allows.
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
