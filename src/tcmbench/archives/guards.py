"""What is demanded of an archive before any byte of a member is read or written."""

import gzip
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from tcmbench.common.errors import UserError

LARGEST_IMAGE = 256 * 2**20
LARGEST_TEXT = 4 * 2**30
# Ten times what label files shrink to, and JPEG does not shrink; deflate itself ends near 1030.
MOST_EXPANSION = 200
SMALL = 2**30

_WINDOWS = re.compile(r"[A-Za-z]:|.*\0")

DAMAGE = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    # What tarfile and zipfile make of numbers and names that make no sense.
    ValueError,
    ArithmeticError,
    LookupError,
    RecursionError,
    # What zipfile makes of versions and flags that are none.
    NotImplementedError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive.

    `size` is what the archive declares, in bytes. `fetch()` reads the packed bytes, which has to
    happen before the next member is asked for; what it returns unpacks them, in any thread.
    """

    name: str
    size: int
    fetch: Callable[[], Callable[[], bytes]]

    def read(self) -> bytes:
        """Return the content of a label file.

        Raises:
            UserError: it is too large for one, or the archive is damaged.
        """
        check_size(self.name, self.size, LARGEST_TEXT)
        return self.fetch()()


@contextmanager
def sound(archive: Path) -> Iterator[None]:
    """Turn whatever a damaged archive raises into a `UserError`; for code that only reads it."""
    from isal.igzip_lib import IsalError

    # Its type stub takes the class for an instance.
    inflation = cast("type[Exception]", IsalError)
    try:
        yield
    except (*DAMAGE, inflation) as flaw:
        raise UserError(
            f"{archive} is truncated or damaged ({flaw}); delete it and download it again"
        ) from None


def check_name(archive: Path, name: str, plain: bool) -> str:
    """Return the normal form of a member's name; `plain` says that it is a file or a folder.

    Backslashes, which some packers of Windows write, part folders.

    Raises:
        UserError: it leads out of the folder on some system, or is not plain.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        flaw = "leads out of the folder" + (" on some systems" if "\\" in name else "")
    elif _WINDOWS.match(name):
        flaw = "leads out of the folder on some systems"
    elif not plain:
        flaw = "is a link or a device"
    else:
        return str(path)
    raise UserError(
        f"{archive} holds {name!r}, which {flaw}; it is not the published archive, delete it and "
        "download it again"
    )


def check_size(what: str, declared: int, most: int) -> None:
    """Refuse to unpack more than `most` bytes.

    Raises:
        UserError: `declared` is more.
    """
    if declared > most:
        raise UserError(
            f"{what} declares {declared:,} bytes, more than the {most:,} that are plausible here; "
            "it is not the published archive, delete it and download it again"
        )


def most_unpacked(archive: Path) -> int:
    """Return how many bytes an archive may hold in all, by its own size."""
    return MOST_EXPANSION * archive.stat().st_size + SMALL
