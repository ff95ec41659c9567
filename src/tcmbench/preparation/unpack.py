"""Images out of an archive: one thread reads it, many check, shrink and write."""

import os
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tcmbench.archives import members_of
from tcmbench.archives.guards import LARGEST_IMAGE, Member, check_size
from tcmbench.archives.lookup import top_folder
from tcmbench.archives.source import Source
from tcmbench.common.errors import UserError
from tcmbench.common.progress import Progress
from tcmbench.preparation.shrink import Cache
from tcmbench.preparation.workers import Workers


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive: its hashes, why images could not be decoded, and their checksums.

    Attributes:
        hashes: in hex, by kind.
        unreadable: the reason, by name.
        sums: of what was written, see `tcmbench.images.sums`, by name.
    """

    hashes: dict[str, str]
    unreadable: dict[str, str]
    sums: dict[str, int]


def unpack(
    archive: Path,
    prefix: str,
    wanted: Collection[str],
    folder: Path,
    source: str,
    *,
    cache: Cache | None = None,
    threads: int | None = None,
    kinds: Collection[str] = (),
) -> Unpacked:
    """Write each member `prefix` + name, for the names in `wanted`, to `folder` / name.

    Each image is checked before it is written, and appears under its name whole; one that cannot be
    decoded is not written. Those that an earlier call left are kept. The archive is read once, to
    its end, so a truncated one is noticed; where nothing lies below `prefix`, it is read once more
    for the folder that has the images. Only names that the archive itself holds as plain relative
    paths are written, so nothing can land outside `folder`.

    Args:
        archive: a .zip file, or a tar.
        prefix: the folder inside the archive, with its slash.
        wanted: paths below it.
        folder: where they go; missing folders are made.
        source: the label file that names them, for the message.
        cache: how to make the images smaller; None keeps their bytes.
        threads: how many images are worked on at a time; None: one a core.
        kinds: hashes of the archive to make while it is read.

    Raises:
        UserError: the archive is damaged or hostile, or lacks a wanted member or holds one twice.
    """
    work = partial(_Pass, archive, frozenset(wanted), folder, cache, threads)
    with closing(Source(archive, kinds)) as stream:
        first = work(prefix)
        first.run(stream)
        hashes = stream.hashes()
    other = top_folder(first.others, wanted, prefix, archive) if not first.found else prefix
    last = first
    if other != prefix:
        with closing(Source(archive)) as stream:
            last = work(other)
            last.run(stream)
    if last.missing:
        raise _lacking(archive, other, wanted, last.missing, source)
    return Unpacked(hashes, last.unreadable, last.sums)


class _Pass:
    """One reading of an archive, with its images below one folder."""

    def __init__(
        self,
        archive: Path,
        wanted: Collection[str],
        folder: Path,
        cache: Cache | None,
        threads: int | None,
        prefix: str,
    ) -> None:
        self.archive = archive
        self.folder = folder
        self.cache = cache
        self.threads = threads or os.cpu_count() or 1
        self.prefix = prefix
        self.wanted = wanted
        self.missing = set(wanted)
        self.unreadable: dict[str, str] = {}
        self.sums: dict[str, int] = {}
        # Names of other members, as long as no image is found.
        self.others: list[str] = []
        self._folders: set[Path] = set()

    @property
    def found(self) -> bool:
        """Say whether any image is there."""
        return len(self.missing) < len(self.wanted)

    def run(self, stream: Source) -> None:
        """Read the archive to its end."""
        told = f"unpacking {self.archive.name}"
        with (
            Progress(len(self.missing), "images", told) as progress,
            Workers(self.threads, progress, self.unreadable, self.sums) as workers,
        ):
            for member in members_of(stream):
                name = member.name.removeprefix(self.prefix)
                if name in self.wanted and member.name == self.prefix + name:
                    self._take(member, name, workers)
                elif not self.found:
                    self.others.append(member.name)
            workers.finish()

    def _take(self, member: Member, name: str, workers: Workers) -> None:
        _check(self.archive, member, name in self.missing)
        self.missing.remove(name)
        target = self.folder / name
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        place = partial(_place, member, member.fetch(), target, self.cache)
        workers.submit(member.size, name, place)


def _check(archive: Path, member: Member, first: bool) -> None:
    if not first:
        raise UserError(
            f"{archive} holds '{member.name}' twice; it is not the published archive, delete it "
            "and download it again"
        )
    check_size(f"'{member.name}' in {archive}", member.size, LARGEST_IMAGE)


def _lacking(
    archive: Path, prefix: str, wanted: Collection[str], missing: set[str], source: str
) -> UserError:
    first = next(name for name in wanted if name in missing)
    return UserError(
        f"{source} names {len(missing):,} images that are not in {archive}, the first is "
        f"'{prefix}{first}'; the two do not belong together, download both again"
    )


def _place(
    member: Member, load: Callable[[], bytes], target: Path, cache: Cache | None
) -> str | int:
    """Write an image and return its checksum, or why it cannot be decoded."""
    from tcmbench.images.pictures import UnreadableError, check_image
    from tcmbench.images.sums import checksum

    if _left(target, member.size, cache):
        return checksum(target.read_bytes())
    content = load()
    try:
        if cache is None:
            check_image(content)
        else:
            content = cache.shrunk(content)
    except UnreadableError as error:
        return str(error)
    # The same name at every try: what a killed run left is written over by the next.
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    part.replace(target)
    return checksum(content)


def _left(target: Path, size: int, cache: Cache | None) -> bool:
    """Say whether an earlier run wrote the image; a power cut may have emptied it since."""
    from tcmbench.images.pictures import UnreadableError, check_image

    try:
        if cache is None:
            return size > 0 and target.stat().st_size == size
        check_image(target.read_bytes())
    except (OSError, UnreadableError):
        return False
    return True
