"""What this machine has, asked without importing torch, and whether it is enough."""

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tcmbench.common.errors import UserError

#: MB (10^6 bytes) of each conda environment on disk, by `du`: made by conda 26.7.1 on linux-64 with
#: a plain build of Python 3.12 in the place of conda-forge's.
ENVIRONMENT_MB = {"data": 398, "report": 689, "train": 7206}


def gpu_count() -> int:
    """Count the GPUs that processes started here will see.

    `CUDA_VISIBLE_DEVICES` decides where it is set, as it does for torch; else NVIDIA's driver.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return sum(name.strip() not in ("", "-1") for name in visible.split(","))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def threads(full: bool, on_gpu: bool, gpu_limit: int | None) -> int:
    """Threads of one training: an even share of the cores, so that each GPU is kept busy.

    A miniature takes one thread and so as many runs at a time as there are cores; on a cluster,
    where no GPUs are counted here, 16 is a common share of a node.

    Args:
        full: the suite is of full scale.
        on_gpu: training takes a GPU.
        gpu_limit: how many GPU jobs run side by side, None where the scheduler decides.
    """
    if not full:
        return 1
    if gpu_limit is None:
        return 16
    cores = os.cpu_count() or 1
    return max(1, cores // max(1, gpu_limit)) if on_gpu else cores


def require_gpu(suite: str, jobs: int) -> None:
    """Refuse GPU work on a machine without one.

    Raises:
        UserError: there is no GPU.
    """
    if jobs and gpu_count() == 0:
        raise UserError(
            f"suite '{suite}' has {jobs} jobs that need a GPU and this machine has none; "
            "run it on one that has, or on the processor with --config device=cpu (days)"
        )


def require_disk(suite: str, needed_mb: Mapping[Path, float]) -> None:
    """Refuse to start where a disk cannot hold what is left to write.

    Args:
        suite: name of the suite, for the message.
        needed_mb: MB (10^6 bytes) still to be written, by folder. A folder need not exist yet;
            what goes to one disk is added up.

    Raises:
        UserError: too little space is free.
    """
    by_disk: dict[int, dict[Path, float]] = defaultdict(dict)
    for folder, megabytes in needed_mb.items():
        if megabytes:
            by_disk[_existing(folder).stat().st_dev][folder] = megabytes
    for folders in by_disk.values():
        needed, free = sum(folders.values()), shutil.disk_usage(_existing(min(folders))).free / 1e6
        if needed > free:
            raise UserError(
                f"suite '{suite}' still needs {needed / 1e3:,.1f} GB of disk in "
                f"{' and '.join(map(str, folders))} and {free / 1e3:,.1f} GB are free; make room, "
                "or skip this check with --config check_disk=False"
            )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
