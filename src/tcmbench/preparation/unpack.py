"""Images out of an archive: one thread reads it, many check, shrink and write."""

import os
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

from tcmbench.archives import members_of
from tcmbench.archives.guards import LARGEST_IMAGE, Member, check_size
from tcmbench.archives.source import Source
from tcmbench.common.errors import UserError
from tcmbench.common.progress import Progress
from tcmbench.preparation.shrink import Cache

# Images that were read and not yet written: bytes in all, and files a thread.
WAITING_BYTES = 128 * 2**20
WAITING_FILES = 32


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
) -> dict[str, str]:
    """Write each member `prefix` + name, for the names in `wanted`, to `folder` / name.

    Each image is checked before it is written, and appears under its name whole. Those that an
    earlier call left are kept. The archive is read once, to its end, so a truncated one is noticed.
    Only names that the archive itself holds as plain relative paths are written, so nothing can
    land outside `folder`.

    Args:
        archive: a .zip file, or a gzipped tar.
        prefix: the folder inside the archive, with its slash.
        wanted: paths below it.
        folder: where they go; missing folders are made.
        source: the label file that names them, for the message.
        cache: how to make the images smaller; None keeps their bytes.
        threads: how many images are worked on at a time; None: one a core.
        kinds: hashes of the archive to make while it is read.

    Returns:
        The hashes asked for, in hex, by kind.

    Raises:
        UserError: the archive is damaged or hostile, lacks a wanted member or holds one twice, or
            an image cannot be decoded.
    """
    threads = threads or os.cpu_count() or 1
    names = set(wanted)
    missing = set(names)
    folders: set[Path] = set()
    with (
        closing(Source(archive, kinds)) as stream,
        Progress(len(missing), "images", f"unpacking {archive.name}") as progress,
        _Workers(threads, progress) as workers,
    ):
        for member in members_of(stream):
            name = member.name.removeprefix(prefix)
            if name not in names or member.name != prefix + name:
                continue
            _check(archive, member, name in missing)
            missing.remove(name)
            target = folder / name
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            place = partial(_place, archive, name, member, member.fetch(), target, cache)
            workers.submit(member.size, place)
        workers.finish()
        if missing:
            raise _lacking(archive, prefix, wanted, missing, source)
        return stream.hashes()


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
    archive: Path,
    name: str,
    member: Member,
    load: Callable[[], bytes],
    target: Path,
    cache: Cache | None,
) -> None:
    from tcmbench.images.pictures import UnreadableError, check_image

    if _left(target, member.size, cache):
        return
    content = load()
    try:
        if cache is None:
            check_image(content)
        else:
            content = cache.shrunk(content)
    except UnreadableError as error:
        raise UserError(
            f"the image {name} cannot be decoded ({error}), as unpacked from {archive}; delete the "
            "archive and download it again"
        ) from None
    # The same name at every try: what a killed run left is written over by the next.
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(content)
    part.replace(target)


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


class _Workers:
    """A pool of threads with a bounded queue; the first failure, in order of submission, counts."""

    def __init__(self, threads: int, progress: Progress) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._most = threads * WAITING_FILES
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._bytes = 0
        self._progress = progress

    def submit(self, size: int, work: Callable[[], None]) -> None:
        self._waiting.append((size, self._pool.submit(work)))
        self._bytes += size
        while self._bytes > WAITING_BYTES or len(self._waiting) > self._most:
            self._collect()

    def finish(self) -> None:
        while self._waiting:
            self._collect()

    def _collect(self) -> None:
        size, future = self._waiting.popleft()
        future.result()
        self._bytes -= size
        self._progress.update()

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
