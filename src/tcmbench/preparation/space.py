"""Disk that a preparation takes, said and compared with what is free before it begins."""

import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from tcmbench.archives.zips import is_zip, zip_entries
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Archive, Dataset, Images
from tcmbench.preparation.shrink import Cache

GIGABYTE = 1e9
# JPEG hardly deflates: over synthetic photographs, gzip takes off 0.1 %. The rest is headroom for
# images of other formats.
TAR_GROWTH = 1.03
# Half a block of a usual file system is lost at the end of each file.
LOST_BYTES = 2048


def peak_bytes(archives: Path, parts: Collection[Images], cache: Cache | None) -> int:
    """Estimate how much the images take while they are made, besides their archives.

    Of a .zip the declared sizes are added; a tar has no table of them, so its own size counts.
    """
    images = sum(len(part.paths) for part in parts)
    if cache is not None:
        return images * (cache.mean_bytes() + LOST_BYTES)
    return sum(_unpacked(archives, part) for part in parts) + images * LOST_BYTES


def published_bytes(dataset: Dataset, cache: Cache | None) -> int:
    """Estimate the same for a published dataset, before its archives are there."""
    if cache is None:
        return dataset.unpacked_bytes
    return (dataset.counts.train_images + dataset.counts.test_images) * cache.mean_bytes()


def archive_bytes(dataset: Dataset, archive: Archive) -> int:
    """Return an archive's size; where none is published, the images' for that which holds them."""
    holds_images = any(archive == layout.archives[0] for layout in dataset.layouts.values())
    return archive.size or (dataset.unpacked_bytes if holds_images else 0)


def view_bytes(dataset: Dataset, crop: int) -> int:
    """Return the size of the decoded test images of a published dataset, `crop` pixels a side."""
    return 3 * crop**2 * dataset.counts.test_images


def check_space(out: Path, need: int, *, refuse: bool) -> None:
    """Say what is needed in `out`, from 1 GB on, and refuse where less is free.

    Raises:
        UserError: too little is free, and `refuse` is True.
    """
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    amounts = f"needs about {need / GIGABYTE:,.1f} GB in {out} besides the archives"
    if need >= GIGABYTE:
        print(f"{amounts}, {free / GIGABYTE:,.1f} GB are free", file=sys.stderr, flush=True)
    if refuse and need > free:
        raise UserError(
            f"the preparation {amounts}, but {free / GIGABYTE:,.1f} GB are free; make room, choose "
            "another folder by --out, or go on regardless with --no-disk-check"
        )


def used_bytes(folder: Path) -> int:
    """Add up the files below a folder; 0 where it is absent."""
    return sum(
        os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 (twice as fast)
        for parent, _, names in os.walk(folder)
        for name in names
    )


def _unpacked(archives: Path, part: Images) -> int:
    archive = in_folder(archives, part.archive)
    if not is_zip(archive):
        return round(archive.stat().st_size * TAR_GROWTH)
    wanted = {part.root + path for path in part.paths}
    entries = ((e.filename.replace("\\", "/"), e.file_size) for e in zip_entries(archive))
    return sum(size for name, size in entries if name in wanted)
