"""Archives whose bytes depend on nothing but their content: no clock, no user, no file order."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Miniature:
    """One data set in small: its archives by public file name, and the counts of its split."""

    archives: dict[str, bytes]
    counts: dict[str, int]


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """Pack files, by path, into a gzipped tar; a path that ends in "/" is an empty folder.

    The folders of all files become members too, as in the public archives; members are sorted.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in _members(files):
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode = 0o755 if name.endswith("/") else 0o644
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(files[name])
                tar.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), compresslevel=6, mtime=0)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Pack files, by path, into a zip, with their folders, sorted and all dated 1 January 1980."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in _members(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever system packs it
            entry.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
            archive.writestr(entry, files.get(name, b""), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _members(files: Mapping[str, bytes]) -> list[str]:
    parents = (PurePosixPath(name).parents for name in files)
    folders = {f"{folder}/" for above in parents for folder in above if folder.name}
    return sorted(set(files) | folders)
