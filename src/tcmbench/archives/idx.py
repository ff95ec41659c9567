"""The idx files of MNIST: a header and bytes, packed; a file of images counts as an archive.

Format: two bytes 0, one byte for the type (8: unsigned bytes), one for the number of axes, the
length of each axis as a big-endian 32-bit number, then the values, the last axis fastest (the page
of the MNIST database, "file formats"). Images are grey, 0 for paper.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tcmbench.archives.guards import Member, check_size, most_unpacked, sound
from tcmbench.archives.source import CHUNK, Source
from tcmbench.archives.streams import unpacked
from tcmbench.common.contents import IDX, demand, head
from tcmbench.common.errors import UserError
from tcmbench.common.files import bare_name

SUFFIX = "-ubyte.gz"
UNSIGNED_BYTES = 8
# The largest side of an image that is plausible here, in pixels.
LARGEST_SIDE = 4096


def image_name(archive: str, index: int) -> str:
    """Return the name of an image, from 0: idx files name none."""
    return f"{archive.removesuffix('.gz')}/{index:05d}.png"


def idx_members(source: Source) -> Iterator[Member]:
    """Yield the images of a file of three axes as PNG files, and read it to its end.

    Raises:
        UserError: the file is damaged, or is no such file.
    """
    demand(head(source.path), str(source.path), IDX)
    with sound(source.path), unpacked(source) as stream:
        count, height, width = _axes(source.path, stream, 3)
        for index in range(count):
            pixels = _exactly(stream, height * width)
            png = _png(pixels, width, height)
            name = image_name(bare_name(source.path.name), index)
            yield Member(name, len(png), partial(_content, png))
        _end(source.path, stream)


def read_labels(archive: Path) -> list[int]:
    """Return the values of a file of one axis.

    Raises:
        UserError: the file is damaged, or is no such file.
    """
    demand(head(archive), str(archive), IDX)
    with closing(Source(archive)) as source, sound(archive), unpacked(source) as stream:
        (count,) = _axes(archive, stream, 1)
        labels = list(_exactly(stream, count))
        _end(archive, stream)
    return labels


def _axes(archive: Path, stream: BinaryIO, number: int) -> tuple[int, ...]:
    header = _exactly(stream, 4)
    if header != bytes([0, 0, UNSIGNED_BYTES, number]):
        raise UserError(
            f"{archive} begins with the bytes {header.hex(' ')}, not with those of an idx file of "
            f"{number} axes; it is not the published file, delete it and download it again"
        )
    axes: tuple[int, ...] = struct.unpack(f">{number}I", _exactly(stream, 4 * number))
    size = 1
    for length in axes:
        size *= length
    check_size(str(archive), size, most_unpacked(archive))
    if not all(0 < side <= LARGEST_SIDE for side in axes[1:]):
        raise UserError(
            f"{archive} declares images of {axes[1:]} pixels; delete it and download it again"
        )
    return axes


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("it ends too soon")
    return content


def _end(archive: Path, stream: BinaryIO) -> None:
    """Read what is left, behind which the checksum stands."""
    left = 0
    while part := stream.read(CHUNK):
        left += len(part)
    if left:
        raise UserError(
            f"{archive} has {left:,} bytes more than its header declares; delete it and download "
            "it again"
        )


def _png(pixels: bytes, width: int, height: int) -> bytes:
    from PIL import Image

    packed = io.BytesIO()
    Image.frombytes("L", (width, height), pixels).save(packed, "PNG", compress_level=1)
    return packed.getvalue()


def _content(png: bytes) -> "partial[bytes]":
    return partial(bytes, png)
