"""Members of a zip, in the order in which they lie, each unpacked by whoever needs it."""

import lzma
import stat
import struct
import zipfile
import zlib
from bz2 import BZ2Decompressor
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tcmbench.archives.guards import Member, check_name, check_size, most_unpacked, sound
from tcmbench.archives.source import Source
from tcmbench.archives.streams import expanded
from tcmbench.common.contents import head, recognised
from tcmbench.common.errors import UserError

# The local header: signature, eleven fields that the table repeats, lengths of name and extra field
# (PKWARE APPNOTE.TXT, section 4.3.7).
_HEADER = struct.Struct("<4s22x2H")
_ENCRYPTED = 0x1
# Of the methods that are not read here (PKWARE APPNOTE.TXT, section 4.4.5), those that are met.
_METHODS = {
    9: "Deflate64, as the Windows Explorer does with large files",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
    99: "AES encryption",
}
# What LZMA may take to unpack, in bytes of its dictionary; 7-Zip's highest level takes 64 MiB.
_MOST_DICTIONARY = 2**28


def is_zip(archive: Path) -> bool:
    """Say whether a file is a zip, by its first bytes; by its name where those say nothing."""
    found = recognised(head(archive))
    return archive.suffix.lower() == ".zip" if found is None else found.kind == "zip"


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
        if not entry.filename.endswith(("/", "\\")):
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
    _check_method(source.path, entry)
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


def _check_method(archive: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse what cannot be unpacked here, for its own cause."""
    method = entry.compress_type
    if entry.flag_bits & _ENCRYPTED:
        raise UserError(
            f"'{entry.filename}' in {archive} is encrypted; unpack the archive with its password "
            "and zip its content again without one"
        )
    if method not in _UNPACKERS:
        called = _METHODS.get(method, f"method {method}")
        raise UserError(
            f"'{entry.filename}' in {archive} is packed by {called}, which is not read here; "
            "unpack the archive and zip its content again, for instance by 'zip -r' or 7-Zip's "
            "method Deflate"
        )


def _inflated(archive: Path, entry: zipfile.ZipInfo, packed: bytes) -> bytes:
    with sound(archive):
        # One byte more than declared is asked for, so that a member that lies is noticed.
        content = _UNPACKERS[entry.compress_type](packed, entry.file_size + 1)
        if len(content) != entry.file_size:
            raise zipfile.BadZipFile(
                f"'{entry.filename}' does not have the {entry.file_size:,} bytes it declares"
            )
        if zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile(f"'{entry.filename}' has another checksum")
    return content


def _deflated(packed: bytes, most: int) -> bytes:
    from isal import isal_zlib

    return bytes(isal_zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most))


def _lzma(packed: bytes, most: int) -> bytes:
    """Unpack LZMA as zips have it: its properties stand in front (APPNOTE.TXT, section 5.8.8)."""
    size, bits, dictionary = struct.unpack_from("<2xHBI", packed)
    if dictionary > _MOST_DICTIONARY:
        raise lzma.LZMAError(f"a dictionary of {dictionary:,} bytes")
    rest, lc = divmod(bits, 9)
    pb, lp = divmod(rest, 5)
    chosen = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    inner = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen])
    return expanded(inner, packed[4 + size :], most)


_UNPACKERS: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: lambda packed, _most: packed,
    zipfile.ZIP_DEFLATED: _deflated,
    zipfile.ZIP_BZIP2: lambda packed, most: expanded(BZ2Decompressor(), packed, most),
    zipfile.ZIP_LZMA: _lzma,
}
