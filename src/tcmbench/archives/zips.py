"""Members of a zip, in the order in which they lie, each inflated by whoever needs it."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tcmbench.archives.guards import Member, check_name, check_size, most_unpacked, sound
from tcmbench.archives.source import Source

# The local header: signature, eleven fields that the table repeats, lengths of name and extra field
# (PKWARE APPNOTE.TXT, section 4.3.7).
_HEADER = struct.Struct("<4s22x2H")
_ENCRYPTED = 0x1


def zip_members(source: Source) -> Iterator[Member]:
    """Yield the files of a zip by their place in it, so that it is read from front to back.

    zipfile reads the table; the members are read here, since zipfile inflates under one lock and
    by zlib alone.

    Raises:
        UserError: the archive is damaged or hostile.
    """
    archive = source.path
    for entry in zip_entries(archive):
        # Archives made on Windows have no Unix mode: the type bits are 0.
        kind = stat.S_IFMT(entry.external_attr >> 16)
        name = check_name(archive, entry.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        if not entry.is_dir():
            yield Member(name, entry.file_size, partial(_fetch, source, entry))


def zip_entries(archive: Path) -> list[zipfile.ZipInfo]:
    """Return the table of a zip, by place.

    Raises:
        UserError: the archive is damaged, or declares too much.
    """
    with sound(archive), zipfile.ZipFile(archive) as bundle:
        entries = sorted(bundle.infolist(), key=lambda entry: entry.header_offset)
        if sum(e.compress_size for e in entries) > archive.stat().st_size:
            raise zipfile.BadZipFile("its members overlap, or lie behind its end")
    check_size(str(archive), sum(e.file_size for e in entries), most_unpacked(archive))
    return entries


def _fetch(source: Source, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    with sound(source.path):
        source.skip_to(entry.header_offset)
        signature, name, extra = _HEADER.unpack(_exactly(source, _HEADER.size))
        if signature != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"'{entry.filename}' is not where the table says")
        source.skip_to(source.position + name + extra)
        packed = _exactly(source, entry.compress_size)
    return partial(_inflated, source.path, entry, packed)


def _exactly(source: Source, size: int) -> bytes:
    content = source.read(size) or b""
    if len(content) < size:
        raise EOFError(f"it ends at byte {source.position:,}")
    return content


def _inflated(archive: Path, entry: zipfile.ZipInfo, packed: bytes) -> bytes:
    from isal import isal_zlib

    with sound(archive):
        if entry.flag_bits & _ENCRYPTED:
            raise NotImplementedError(f"'{entry.filename}' is encrypted")
        if entry.compress_type == zipfile.ZIP_STORED:
            content = packed
        elif entry.compress_type == zipfile.ZIP_DEFLATED:
            # One byte more than declared is asked for, so that a member that lies is noticed.
            stream = isal_zlib.decompressobj(-zlib.MAX_WBITS)
            content = stream.decompress(packed, entry.file_size + 1)
        else:
            raise NotImplementedError(f"'{entry.filename}' has an unknown compression")
        if len(content) != entry.file_size:
            raise zipfile.BadZipFile(
                f"'{entry.filename}' does not have the {entry.file_size:,} bytes it declares"
            )
        if zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile(f"'{entry.filename}' has another checksum")
    return content
