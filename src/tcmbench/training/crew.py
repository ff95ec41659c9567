"""The processes that share one training: one as a rule, several where torchrun started them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from tcmbench.common.devices import claim_device
from tcmbench.common.errors import UserError
from tcmbench.common.locks import exclusive

T = TypeVar("T")
GOODBYE_S = 0.5


@dataclass(frozen=True)
class Crew:
    """This process among those of its training.

    Each embeds its share of every batch; the first alone writes and speaks.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Say whether this is the process that writes."""
        return self.rank == 0

    def claim(self, wanted: str) -> torch.device:
        """Return the device of this process: one GPU each, by number, where there are several.

        Args:
            wanted: `auto`, `cpu` or `cuda`, see `claim_device`.

        Raises:
            UserError: `cuda` is wanted and there is none, or fewer GPUs than processes.
        """
        return claim_device(wanted) if self.size == 1 else _local_device(wanted)

    def highest(self, *values: int) -> list[int]:
        """Return the greatest of all processes' numbers, place by place; waits for all of them."""
        if self.size == 1:
            return list(values)
        agreed = torch.tensor(values)
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
        return agreed.tolist()

    def all(self, value: T) -> list[T]:
        """Return the value of each process, by rank; waits for all of them."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(found, value)
        return found


ALONE = Crew()


@contextmanager
def assembled(wanted: int | None = None) -> Iterator[Crew]:
    """Join the processes that torchrun started, or be alone; takes no GPU yet.

    Raises:
        UserError: another number of processes is wanted than was started.
    """
    started = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1
    if wanted not in (None, started):
        raise UserError(
            f"this run is shared by {wanted} processes and {started} were started; let "
            "src/train.py start them, or leave compute.processes out of its configuration"
        )
    if started == 1:
        yield ALONE
        return
    # One group for either kind of device: what is agreed on by `Crew` never waits for a GPU.
    dist.init_process_group()
    try:
        yield Crew(dist.get_rank(), dist.get_world_size())
    finally:
        # The threads of gloo need Python's lock to drop the tensors of what ended last, and torch
        # (2.11) keeps that lock while it waits for the threads: it would wait forever.
        time.sleep(GOODBYE_S)
        dist.destroy_process_group()


@contextmanager
def alone_in(folder: Path, crew: Crew) -> Iterator[None]:
    """Hold a run folder against other trainings; wait for one that has it, and say so.

    The lock is the first process's, in the folder itself, so that it is one by whatever path the
    folder is reached. The others hear from it while it waits: torch gives up on a silent process.
    """
    if not crew.leads:
        while crew.highest(0)[0]:
            pass
        yield
        return
    what = f"trains into {folder}"
    with exclusive(folder / "training", what, meanwhile=lambda: crew.highest(1)):
        crew.highest(0)
        yield


def _local_device(wanted: str) -> torch.device:
    local, processes = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    # torchrun gives a process one thread unless told; by its threads it sizes its loader, too.
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    gpus = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and gpus == 0):
        return torch.device("cpu")
    if gpus < processes:
        raise UserError(
            f"torchrun started {processes} processes here, but {gpus} GPUs are visible; start one "
            "for each GPU (--nproc-per-node)"
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
