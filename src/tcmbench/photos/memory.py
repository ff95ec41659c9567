"""What is known of pictures from the last time: read again only where size or time have changed."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, read_json, sha256
from tcmbench.common.progress import Progress


class Known(NamedTuple):
    """A picture: its size, its time of change, its SHA-256, and whether it was decoded once."""

    size: int
    changed: int
    sha256: str
    decoded: bool = False


class Memory:
    """Hashes of the pictures below a folder, remembered in a JSON file; a broken one is made anew.

    Raises:
        UserError: a picture cannot be read.
    """

    def __init__(self, file: Path, images: Path, paths: Iterable[str]) -> None:
        self.file = file
        before, wanted = _remembered(file), sorted(paths)
        stamps = {path: _stamp(images / path) for path in wanted}
        new = [path for path in wanted if path not in before or before[path][:2] != stamps[path]]
        read = dict(zip(new, _hashes([images / path for path in new]), strict=True))
        self.known = {}
        for path in wanted:
            old = before.get(path)
            found = read.get(path) or before[path].sha256
            same = old is not None and old.sha256 == found
            self.known[path] = Known(*stamps[path], found, same and before[path].decoded)
        if self.known != before:
            self._write()

    def __getitem__(self, path: str) -> str:
        """Return the SHA-256 of a picture."""
        return self.known[path].sha256

    def undecoded(self) -> list[str]:
        """Return the pictures that were never decoded with this content, sorted."""
        return [path for path, entry in self.known.items() if not entry.decoded]

    def note_decoded(self, paths: Iterable[str]) -> None:
        """Remember that pictures can be decoded."""
        self.known |= {path: self.known[path]._replace(decoded=True) for path in paths}
        self._write()

    def _write(self) -> None:
        with atomic_path(self.file) as temporary:
            temporary.write_text(json.dumps(self.known), encoding="utf-8")


def _hashes(files: list[Path]) -> list[str]:
    with ThreadPoolExecutor() as pool, Progress(len(files), "images", "hashes") as progress:
        read = []
        for one in pool.map(_hash, files):
            read.append(one)
            progress.update()
        return read


def _hash(file: Path) -> str:
    try:
        return sha256(file)
    except OSError as error:
        raise _unread(file, error) from None


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise _unread(file, error) from None
    return found.st_size, found.st_mtime_ns


def _unread(file: Path, error: OSError) -> UserError:
    return UserError(f"{file} cannot be read ({error.strerror}); mend it, or take it out")


def _remembered(file: Path) -> dict[str, Known]:
    try:
        return {path: Known(*entry) for path, entry in read_json(file).items()}
    except (UserError, AttributeError, TypeError):
        return {}
