"""What a file is by its first bytes, compared with what its name promises.

A saved quota page, a login page, an error as JSON or a pointer of git LFS stands under the name of
what was wanted, and every reader would call it damaged.
"""

import codecs
import html
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from tcmbench.common.errors import UserError

# Bytes that are looked at: titles of pages stand behind scripts.
HEAD = 1 << 16
QUOTED = 80
LEAST_TEXT = 16
PAGES = (".html", ".htm")

_FETCH = "remove it and fetch the file again; some hosts ask to sign in, or to wait for a day"
_REPACK = "unpack it and pack its content again as .zip"
_TORCH = (
    "load it by torch.load(FILE, weights_only=True) and save its tensors by "
    "safetensors.torch.save_file"
)


@dataclass(frozen=True, slots=True)
class Content:
    """A kind of file: how a sentence calls it, and what to do where it is not wanted."""

    kind: str
    phrase: str
    way_out: str = _FETCH


@dataclass(frozen=True, slots=True)
class Promise:
    """What a file has to be: `phrase` for a sentence, and the kinds that keep it."""

    phrase: str
    kinds: frozenset[str]


ARCHIVE = Promise("an archive", frozenset({"zip", "gzip", "bzip2", "xz", "tar"}))
IDX = Promise("a packed idx file", frozenset({"gzip", "bzip2", "xz", "idx"}))
MATLAB = Promise("a MATLAB file of version 5", frozenset({"matlab"}))
SAFETENSORS = Promise("a safetensors file", frozenset({"safetensors"}))
_PROMISES = {
    "-ubyte.gz": IDX,
    **dict.fromkeys((".zip", ".gz", ".tgz", ".bz2", ".xz", ".tar"), ARCHIVE),
    ".mat": MATLAB,
    ".safetensors": SAFETENSORS,
}

# Place, bytes, what they are the sign of.
_SIGNS = (
    (0, b"PK\3\4", Content("zip", "a zip archive")),
    (0, b"PK\5\6", Content("zip", "a zip archive")),
    (0, b"PK\7\x08", Content("zip", "a zip archive")),
    (0, b"\x1f\x8b", Content("gzip", "a gzip file")),
    (0, b"BZh", Content("bzip2", "a bzip2 file")),
    (0, b"\xfd7zXZ\0", Content("xz", "an xz file")),
    (257, b"ustar", Content("tar", "a tar archive")),
    (0, b"\0\0\x08\1", Content("idx", "an idx file")),
    (0, b"\0\0\x08\3", Content("idx", "an idx file")),
    (124, b"\0\1IM", Content("matlab", "a MATLAB file")),
    (124, b"\1\0MI", Content("matlab", "a MATLAB file")),
    (0, b"MATLAB 5.0", Content("matlab", "a MATLAB file")),
    (
        0,
        b"MATLAB 7.3",
        Content("hdf5", "a MATLAB 7.3 file (HDF5)", "load it in MATLAB and save it with -v7"),
    ),
    (0, b"\x89HDF\r\n\x1a\n", Content("hdf5", "an HDF5 file")),
    (0, b"Rar!\x1a\7", Content("rar", "a RAR archive", _REPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Content("7z", "a 7z archive", _REPACK)),
    (0, b"\x28\xb5\x2f\xfd", Content("zstd", "a Zstandard file", _REPACK)),
    (0, b"\x93NUMPY", Content("npy", "a NumPy file")),
    (0, b"PAR1", Content("parquet", "a Parquet table")),
    (0, b"ARROW1", Content("arrow", "an Arrow table")),
    (0, b"%PDF-", Content("pdf", "a PDF file")),
    (0, b"\xff\xd8\xff", Content("jpeg", "a JPEG image")),
    (0, b"\x89PNG\r\n", Content("png", "a PNG image")),
    *((0, bytes([0x80, n]), Content("torch", "a Python pickle", _TORCH)) for n in range(2, 6)),
)
_LFS = Content(
    "lfs",
    "a pointer of git LFS in place of the file",
    "run 'git lfs pull' in the repository that it comes from, or fetch the file itself",
)
_TAG = re.compile(r"<(!doctype\s+html|html|head|title|body|script|meta)\b", re.IGNORECASE)


def head(path: Path) -> bytes:
    """Return the first bytes of a file, which `recognised` looks at."""
    with path.open("rb") as stream:
        return stream.read(HEAD)


def recognised(start: bytes) -> Content | None:
    """Say what a file is by its first bytes; None where nothing is known of them."""
    for place, sign, content in _SIGNS:
        if start.startswith(sign, place):
            # What torch.save writes is a zip as well.
            pickled = content.kind == "zip" and b"/data.pkl" in start[:256]
            return Content("torch", "a PyTorch file (pickle)", _TORCH) if pickled else content
    if len(start) > 8 and start[8:9] == b"{" and 1 < int.from_bytes(start[:8], "little") < 2**32:
        return Content("safetensors", "a safetensors file")
    text = _text(start)
    return None if text is None else _kind_of_text(text)


def unlike(start: bytes, name: str, *, strict: bool = False) -> str | None:
    """Say what a file is instead of what its name promises; None where it may be that.

    A name that promises nothing is broken by web pages and pointers of git LFS alone.

    Args:
        start: its first bytes.
        name: how it is to be called.
        strict: whether bytes of which nothing is known break a promise, too.
    """
    found, promised = recognised(start), _promised(name.lower())
    if promised is None:
        wanted = name.lower().endswith(PAGES)
        return found.phrase if found and found.kind in ("page", "lfs") and not wanted else None
    if found is None:
        called = "of unknown content" if start else "empty"
        return f"{called}, not {promised.phrase}" if strict else None
    return None if found.kind in promised.kinds else f"{found.phrase}, not {promised.phrase}"


def _promised(name: str) -> Promise | None:
    return next((made for suffix, made in _PROMISES.items() if name.endswith(suffix)), None)


def demand(start: bytes, name: str, promised: Promise) -> None:
    """Refuse a file that is recognised as something else; damage is not looked for.

    Args:
        start: its first bytes.
        name: what it is called, for the message.
        promised: what it has to be.

    Raises:
        UserError: it is something else, and the message says what.
    """
    found = recognised(start)
    if found is not None and found.kind not in promised.kinds:
        wanted = promised.phrase + (" that is read here" if found.way_out == _REPACK else "")
        raise UserError(f"{name} is {found.phrase}, not {wanted}; {found.way_out}")


def page_called(text: str) -> str:
    """Return the words for a web page, with its title where it has one."""
    found = re.search(r"<title[^>]*>(.*?)(</title|$)", text, re.IGNORECASE | re.DOTALL)
    title = _quoted(html.unescape(found[1])) if found else ""
    return f"a web page ('{title}')" if title else "a web page"


def _text(start: bytes) -> str | None:
    """Return what may be a text; None where control characters or the encoding speak against it."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = start.decode("utf-16", errors="replace").strip()
        return wide if _TAG.search(wide) else None
    text = start.decode("utf-8-sig", errors="replace").strip()
    # The last character may be cut; older pages are in other encodings, with tags that can be read.
    strange = text.count("\ufffd") > 1 or len(text) < LEAST_TEXT
    if (strange and not _TAG.search(text)) or re.search(r"[\0-\x08\x0e-\x1f]", text):
        return None
    return text


def _kind_of_text(text: str) -> Content:
    if text.startswith("version https://git-lfs"):
        return _LFS
    if text.startswith("<") and _TAG.search(text):
        return Content("page", page_called(text))
    kinds = {"<": "an XML text", "{": "a JSON text", "[": "a JSON text"}
    return Content("text", f"{kinds.get(text[0], 'a text')} ({_quoted(text)})")


def _quoted(text: str) -> str:
    return shorten(text, QUOTED, placeholder="...")
