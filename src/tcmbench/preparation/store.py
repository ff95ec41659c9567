"""The folder of images: made beside the old one, swapped in whole, and known by its record.

Where a link stands in its place, perhaps to a bigger disk, the images go through it: they are made
inside the folder that it leads to, and moved up there.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, write_json
from tcmbench.datasets.base import Images
from tcmbench.images.sums import MARK, write_list
from tcmbench.preparation.ownership import refuse_strangers
from tcmbench.preparation.shrink import Cache

IDENTITY = "identity.json"


def folder_name(cache: Cache | None) -> str:
    """Return the name of the folder, so that originals and caches lie side by side."""
    return "images" if cache is None else f"images_{cache.short_side}"


def identity_of(
    dataset: str,
    layout: str,
    archives: dict[str, Any],
    parts: Collection[Images],
    cache: Cache | None,
) -> dict[str, Any]:
    """Describe what a folder of images holds; equal descriptions, equal images.

    `archives` has what identifies each archive, by its name.
    """
    paths = sorted(path for part in parts for path in part.paths)
    return {
        "dataset": dataset,
        "layout": layout,
        "image_cache": cache and asdict(cache),
        "images": len(paths),
        "paths_sha256": hashlib.sha256("\n".join(paths).encode()).hexdigest(),
        "archives": {part.archive: archives[part.archive] for part in parts},
    }


@dataclass(frozen=True)
class Kept:
    """The hashes of the archives, by archive and kind, and why images are absent, by path."""

    hashes: dict[str, dict[str, str]]
    unreadable: dict[str, str]


class Store:
    """Images below `out` / `name`, with the record `name`.json beside them.

    The record is written last and removed first, so where it stands the folder is whole.
    """

    def __init__(self, out: Path, name: str, identity: dict[str, Any]) -> None:
        self.folder = out / name
        self.record = out / f"{name}.json"
        self.linked = self.folder.is_symlink()
        self.place = self.folder.resolve() if self.linked else out
        self.partial = self.place / f".partial_{name}"
        self.images = self.partial / "images"
        self.identity = identity

    def kept(self, paths: Collection[str], skip: Collection[str]) -> Kept | None:
        """Return what was noted at unpacking; None where there is work to do.

        `skip` are the images that may be absent, if they could not be decoded.
        """
        content = _read(self.record)
        if content is None or content.get("identity") != self.identity:
            return None
        kept = Kept(content["hashes"], content.get("unreadable", {}))
        if not set(skip).issuperset(kept.unreadable):
            return None
        return None if lacking(self.folder, set(paths) - set(kept.unreadable)) else kept

    def claim(self) -> None:
        """Make sure that the folder may be replaced.

        Raises:
            UserError: something in it is not ours.
        """
        refuse_strangers(self.folder, apart=self.partial.name)

    def drop_others(self) -> None:
        """Remove what an interrupted run left of anything else; what it left of this stays."""
        if _read(self.partial / IDENTITY) != self.identity:
            shutil.rmtree(self.partial, ignore_errors=True)

    @contextmanager
    def workspace(self, paths: Collection[str]) -> Iterator[Path]:
        """Yield the folder to unpack these files into.

        It stays for the next run unless what was unpacked turns out to be wrong (`UserError`).
        """
        self.images.mkdir(parents=True, exist_ok=True)
        write_json(self.partial / IDENTITY, self.identity)
        write_list(self.images, paths, {})
        try:
            yield self.images
        except UserError:
            shutil.rmtree(self.partial, ignore_errors=True)
            raise

    def publish(self, kept: Kept) -> None:
        """Swap the unpacked images in and write their record."""
        self.record.unlink(missing_ok=True)
        replaced = self.partial / "replaced"
        shutil.rmtree(replaced, ignore_errors=True)
        if self.linked:
            replaced.mkdir()
            # The list goes last and comes first: all that lies there is ours at any moment.
            for old in sorted(self.folder.iterdir(), key=lambda path: path.name == MARK):
                if old.name != self.partial.name:
                    old.rename(replaced / old.name)
            for new in sorted(self.images.iterdir(), key=lambda path: path.name != MARK):
                new.rename(self.folder / new.name)
        else:
            if self.folder.exists():
                self.folder.rename(replaced)
            self.images.rename(self.folder)
        write_json(self.record, {"identity": self.identity, **asdict(kept)})
        shutil.rmtree(self.partial, ignore_errors=True)


def lacking(folder: Path, paths: Collection[str]) -> list[str]:
    """Return the paths that are absent or empty; each folder is listed once, many at a time."""
    wanted = Counter(str(PurePosixPath(path).parent) for path in paths)
    with ThreadPoolExecutor() as pool:
        listings = pool.map(lambda name: _filled(folder / name), wanted)
        present = dict(zip(wanted, listings, strict=True))
    split = ((path, PurePosixPath(path)) for path in paths)
    return [path for path, pure in split if pure.name not in present[str(pure.parent)]]


def _filled(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {e.name for e in entries if e.is_file() and e.stat().st_size > 0}
    except OSError:
        return set()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json(path)
    except UserError:
        return None
    return content if isinstance(content, dict) else None
