"""What a machine needs besides a GPU: disk, shared memory, open files, mirrors, start weights."""

import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tcmbench import datasets
from tcmbench.config.schema import Config
from tcmbench.download.links import check, unreachable
from tcmbench.images.loading import num_workers
from tcmbench.models.hub import answers
from tcmbench.training.data import LOADED_AT_ONCE
from tcmbench.training.settings import Settings

SHARED = Path("/dev/shm")
# Parts that each loading process has ready, and one that is put together.
PARTS = 3
OPEN_FILES = 1024


@dataclass(frozen=True)
class Check:
    """One line of the table: what was looked at, what was found, and what is missing, if at all."""

    name: str
    found: str
    missing: str = ""


def checks(
    config: Config, settings: Sequence[Settings], needed: int, timeout_s: float | None
) -> Iterator[Check]:
    """Yield all lines.

    Args:
        config: the checked configuration.
        settings: of every run of its suite.
        needed: bytes on disk that the suite takes in all.
        timeout_s: patience with a mirror; None asks none.
    """
    yield disk(needed, Path(config["data_root"]))
    workers = num_workers(torch.get_num_threads())
    yield shared_memory(workers, max(run.view.crop for run in settings))
    yield open_files()
    if timeout_s is not None:
        yield from network(config, timeout_s)


def disk(needed: int, folder: Path) -> Check:
    """Compare the bytes that a suite takes in all with what is free and what is there."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    left, free = max(0, needed - there), shutil.disk_usage(existing).free
    found = f"{free / 1e9:,.0f} GB free, {left / 1e9:,.0f} still needed in {folder}"
    return Check("disk", found, f"{(left - free) / 1e9:,.0f} GB of disk" if left > free else "")


def shared_memory(workers: int, crop: int) -> Check:
    """Compare what loading processes hand over at a time with the shared memory of this machine."""
    needed = workers * PARTS * LOADED_AT_ONCE * 3 * crop**2
    if not SHARED.is_dir():
        return Check("shared memory", "no /dev/shm here")
    free = shutil.disk_usage(SHARED).free
    found = f"{free / 1e9:.1f} GB free, {needed / 1e9:.1f} needed by {workers} loading processes"
    less = f"{needed / 1e9:.1f} GB of shared memory (docker run --shm-size)"
    return Check("shared memory", found, less if needed > free else "")


def open_files() -> Check:
    """Look at how many files a process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= OPEN_FILES
    return Check("open files", f"{soft:,}", "" if enough else f"ulimit -n {OPEN_FILES}")


def network(config: Config, timeout_s: float) -> Iterator[Check]:
    """Ask every mirror of the suite's archives, and the host of its start weights."""
    grid = config["suites"][config["suite"]]
    if grid["scale"] == "full":
        links = check({name: datasets.load(name) for name in grid["datasets"]}, timeout_s)
        for name in grid["datasets"]:
            own = [link for link in links if link.dataset == name]
            lost = unreachable(own)
            good = sum(link.state == "ok" for link in own)
            missing = f"{', '.join(lost)} (by hand: docs/data.md)" if lost else ""
            yield Check(f"mirrors of {name}", f"{good} of {len(own)} answer", missing)
    for name in grid["backbones"]:
        entry = config["backbones"][name]
        if entry["weights"] == "hub" and "file" not in entry:
            trouble = answers(entry["timm"], entry.get("revision"), timeout_s)
            title = f"weights of {name}"
            yield Check(title, trouble or "to be had", title if trouble else "")
