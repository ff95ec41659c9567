"""The bytes inside a packed stream, unpacked by what it is and not by its name."""

import io
import lzma
from bz2 import BZ2Decompressor
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from lzma import LZMADecompressor
from typing import Any, BinaryIO, cast

from tcmbench.archives.source import CHUNK, Source
from tcmbench.common.contents import head, recognised

# What xz may take to unpack; its highest level takes 65 MiB.
MOST_MEMORY = 2**28

Decompressor = BZ2Decompressor | LZMADecompressor


@contextmanager
def unpacked(source: Source) -> Iterator[BinaryIO]:
    """Open a stream packed by gzip, bzip2 or xz, or not packed at all.

    gzip goes through isal: four times as fast as zlib, which alone would take as long as all else,
    and with the same checks.
    """
    from isal import igzip

    found = recognised(head(source.path))
    kind = "gzip" if found is None else found.kind
    if kind == "gzip":
        with igzip.open(source) as inflated:  # type: ignore[no-untyped-call]
            yield cast(BinaryIO, inflated)
        return
    raw = _Unpacking(source, _STARTERS[kind]) if kind in _STARTERS else source
    stream = io.BufferedReader(raw, CHUNK)
    try:
        yield cast(BinaryIO, stream)
    finally:
        # Else it would close the source, whose hashes are still to be made.
        if not source.closed:
            stream.detach()


_STARTERS: dict[str, Callable[[], Decompressor]] = {
    "bzip2": BZ2Decompressor,
    "xz": lambda: LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY),
}


def expanded(inner: Decompressor, packed: bytes, most: int) -> bytes:
    """Unpack at most so many bytes."""
    try:
        return inner.decompress(packed, most)
    except OSError as flaw:  # bz2's word for damage, which is no trouble with the disk
        raise EOFError(str(flaw)) from None


class _Unpacking(io.RawIOBase):
    """What one decompressor after another makes of a file: parallel packers write many streams."""

    def __init__(self, source: Source, start: Callable[[], Decompressor]) -> None:
        self._source = source
        self._start = start
        self._inner = start()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            packed = b""
            if self._inner.eof:
                packed = (self._inner.unused_data or self._read()).lstrip(b"\0")
                if not packed:
                    return 0
                self._inner = self._start()
            elif self._inner.needs_input and not (packed := self._read()):
                raise EOFError("it ends too soon")
            content = expanded(self._inner, packed, len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)

    def _read(self) -> bytes:
        return self._source.read(CHUNK) or b""
