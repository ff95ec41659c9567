"""Members of a tar, in one pass, each checked before it is unpacked."""

import tarfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tcmbench.archives.guards import Member, check_name, check_size, most_unpacked, sound
from tcmbench.archives.source import CHUNK, Source
from tcmbench.archives.streams import unpacked
from tcmbench.common.errors import UserError

# Nothing but a hostile file has headers (long names, extended attributes) of this size.
LARGEST_HEADER = 2**24
# Packers let every link lead to the file itself.
LONGEST_CHAIN = 8


def tar_members(source: Source) -> Iterator[Member]:
    """Yield the files of a tar, and read it to its end, where the checksum stands.

    tarfile's own streams check nothing behind the last member. Hard links come last, in a second
    pass: what they lead to has gone by.

    Raises:
        UserError: the archive is damaged or hostile.
    """
    links: dict[str, str] = {}
    for entry, member in _entries(source):
        if member is not None:
            yield member
        elif entry.islnk():
            links[_name(source.path, entry.name)] = _name(source.path, entry.linkname)
    if links:
        yield from _linked(source.path, links)


def _entries(source: Source) -> Generator[tuple[tarfile.TarInfo, Member | None], None, None]:
    """Yield each header, and the file behind it if there is one."""
    with sound(source.path), unpacked(source) as inflated:
        stream = _Forward(inflated, source.path)
        with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
            while (entry := tar.next()) is not None:
                plain = entry.isdir() or entry.islnk() or (entry.isfile() and not entry.issparse())
                name = check_name(source.path, entry.name, plain)
                file = entry.isfile()
                yield (
                    entry,
                    Member(name, entry.size, partial(stream.fetch, entry)) if file else None,
                )
                # tarfile remembers every member: half a gigabyte for half a million images.
                tar.members.clear()
            stream.finish()


def _name(archive: Path, name: str) -> str:
    return check_name(archive, name, plain=True)


def _linked(archive: Path, links: Mapping[str, str]) -> Iterator[Member]:
    """Yield each link as a file with the content of the member that it leads to."""
    names: dict[str, list[str]] = {}
    for name in links:
        names.setdefault(_end(archive, links, name), []).append(name)
    total = 0
    with closing(Source(archive)) as source, closing(_entries(source)) as entries:
        for _, member in entries:
            if member is not None and (linking := names.pop(member.name, None)):
                total += member.size * len(linking)
                check_size(str(archive), total, most_unpacked(archive))
                load = member.fetch()
                yield from (Member(name, member.size, partial(_same, load)) for name in linking)
    for target, linking in names.items():
        raise UserError(
            f"{archive} holds '{linking[0]}', which is a link to '{target}', and no file of that "
            "name; it is not the published archive, delete it and download it again"
        )


def _same(load: Callable[[], bytes]) -> Callable[[], bytes]:
    return load


def _end(archive: Path, links: Mapping[str, str], name: str) -> str:
    """Follow links to links."""
    target = name
    for _ in range(LONGEST_CHAIN):
        if target not in links:
            return target
        target = links[target]
    raise UserError(
        f"{archive} holds '{name}', which is a link to a link without end; it is not the published "
        "archive, delete it and download it again"
    )


class _Forward:
    """What tarfile reads from: it goes forward only, and no further than the archive may hold."""

    def __init__(self, stream: BinaryIO, archive: Path) -> None:
        self._stream = stream
        self._archive = archive
        self._most = most_unpacked(archive)
        self._position = 0
        self._last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        check_size(str(self._archive), position, self._most)
        if position < self._position:
            raise tarfile.ReadError("a member has a negative size")
        while self._position < position:
            if not self.read(min(CHUNK, position - self._position)):
                return

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError(f"a header has {size:,} bytes")
        self._last = self._take(size)
        return self._last

    def finish(self) -> None:
        """Read what is left; a tar that is not packed has no checksum, but an end of zeros."""
        if len(self._last) < tarfile.BLOCKSIZE or any(self._last):
            raise EOFError("it ends without a last record")
        while self.read(CHUNK):
            pass

    def fetch(self, entry: tarfile.TarInfo) -> Callable[[], bytes]:
        """Read a member; what is returned gives its content."""
        with sound(self._archive):
            self.seek(entry.offset_data)
            content = self._take(entry.size)
            if len(content) < entry.size:
                raise tarfile.ReadError(f"it ends inside '{entry.name}'")
        return lambda: content

    def _take(self, size: int) -> bytes:
        check_size(str(self._archive), self._position + size, self._most)
        content = self._stream.read(size)
        self._position += len(content)
        return content
