"""Arrays that stay in their file: a .npy, or an uncompressed member of a .npz, mapped into memory.

NumPy maps the first by itself; a member of a .npz is a .npy at an offset, so it can be mapped too.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_ENCRYPTED = 1
_LOCAL_HEADER = 30
_BYTES_AT_A_TIME = 1 << 24


def mapped_array(path: Path | str) -> NDArray[Any]:
    """Map a .npy file.

    Raises:
        ValueError: it is no whole .npy, or holds Python objects.
    """
    return np.lib.format.open_memmap(path, mode="r")


def mapped_member(path: Path | str, member: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Map a member of a .npz after comparing its checksum, or return None where it is compressed.

    Raises:
        ValueError: it is no whole .npy, or holds Python objects.
        zipfile.BadZipFile: the checksum is wrong.
    """
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
        return None
    with Path(path).open("rb") as stream:
        start = _content_start(stream, member)
        _check_sum(stream, start, member)
        stream.seek(start)
        shape, fortran, dtype = _header(stream)
        offset = stream.tell()
    if offset - start + int(np.prod(shape, dtype=object)) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} is shorter than its header says")
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _content_start(stream: BinaryIO, member: zipfile.ZipInfo) -> int:
    if member.header_offset < 0:
        raise zipfile.BadZipFile(f"no place of {member.filename}")
    stream.seek(member.header_offset)
    header = stream.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no header of {member.filename}")
    # The name and the extra field may be of other length here than in the archive's directory.
    lengths: tuple[int, int] = struct.unpack("<HH", header[-4:])
    return member.header_offset + _LOCAL_HEADER + sum(lengths)


def _check_sum(stream: BinaryIO, start: int, member: zipfile.ZipInfo) -> None:
    stream.seek(start)
    found, left = 0, member.file_size
    while left and (part := stream.read(min(left, _BYTES_AT_A_TIME))):
        found = zlib.crc32(part, found)
        left -= len(part)
    if left or found != member.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {member.filename}")


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, fortran, dtype
