"""What a file is where it is no file of NumPy arrays, and how embeddings get out of it."""

import zipfile
from pathlib import Path

from tcmbench.common.contents import head, recognised

_SAVE = "save the arrays with numpy.savez"
_READ = f"read it with its own library and {_SAVE}"
# By the kind of content; all others are read with their own library.
_WAYS = {
    "lfs": "fetch the file that it stands for with 'git lfs pull'",
    "page": "download the file itself",
    "gzip": "unpack it with gunzip",
    "bzip2": "unpack it with bunzip2",
    "xz": "unpack it with unxz",
    "zstd": "unpack it with unzstd",
    "rar": "unpack it",
    "7z": "unpack it",
    "tar": "unpack it",
}


def foreign(path: Path | str) -> str | None:
    """Return what a file is and how to go on, as the rest of a sentence; None for NumPy's own.

    Raises:
        FileNotFoundError: there is no such file.
    """
    start = head(Path(path))
    if not start:
        return "is empty; save or copy it again"
    if start.startswith(b"PK"):
        return _in_zip(path)
    found = recognised(start)
    if found is None or found.kind == "text":
        return _in_text(start, found.phrase if found else "a text")
    if found.kind == "npy":
        return None
    return f"is {found.phrase}; {_WAYS.get(found.kind, _READ)}"


def _in_zip(path: Path | str) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return None
    if any(name.endswith("/data.pkl") for name in names):
        return f"was written by torch.save; load it with torch and {_SAVE}"
    return f"is an office document; {_READ}" if "[Content_Types].xml" in names else None


def _in_text(start: bytes, phrase: str) -> str | None:
    """Tell a table from other texts, also from one so short that it is not recognised."""
    if b"\0" in start:
        return None
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    line = text.partition(b"\n")[0]
    if not text.startswith((b"{", b"[", b"<")) and any(
        mark in line for mark in (b",", b";", b"\t")
    ):
        return f"is a table of text (CSV); read it with pandas and {_SAVE}"
    return f"is {phrase}; {_READ}" if text.isascii() else None
