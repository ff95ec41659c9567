"""What a file is by its first bytes, where it is no file of NumPy arrays."""

import re
import zipfile
from pathlib import Path

_READ = 4096
_LFS = "fetch the file that it stands for with 'git lfs pull'"
_SAVE = "read it with its own library and save the arrays with numpy.savez"
# First bytes, what they belong to, how to go on.
_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer and not the file itself", _LFS),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SAVE),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", _SAVE),
    (b"MATLAB 7.3 MAT-file", "a MATLAB file (HDF5)", _SAVE),
    (b"PAR1", "a Parquet table", _SAVE),
    (b"ARROW1", "an Arrow table", _SAVE),
    (b"\x1f\x8b", "a gzip file", "unpack it with gunzip"),
    (b"BZh", "a bzip2 file", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "an xz file", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it with unzstd"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
)
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml|<head|<body)", re.IGNORECASE)
_SAFETENSORS = re.compile(rb"[\s\S]{8}\{\s*\"")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")


def foreign(path: Path | str) -> str | None:
    """Return what a file is and how to go on, as the rest of a sentence; None for NumPy's own.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with Path(path).open("rb") as stream:
        start = stream.read(_READ)
    if start.startswith(b"\x93NUMPY"):
        return None
    if start.startswith(b"PK"):
        return _in_zip(path)
    if not start:
        return "is empty; save or copy it again"
    for beginning, kind, way in _BEGINNINGS:
        if start.startswith(beginning):
            return f"is {kind}; {way}"
    return _by_look(start)


def _in_zip(path: Path | str) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return None
    if any(name.endswith("/data.pkl") for name in names):
        return f"was written by torch.save; load it with torch and {_SAVE.partition(' and ')[2]}"
    if "[Content_Types].xml" in names:
        return f"is an office document; {_SAVE}"
    return None


def _by_look(start: bytes) -> str | None:
    if _PAGE.match(start):
        return "is a web page, saved in place of the file; download the file itself"
    if _PICKLE.match(start):
        return (
            "is a Python pickle, which is not opened because it can run code; load it yourself and "
            f"{_SAVE.partition(' and ')[2]}"
        )
    if _SAFETENSORS.match(start):
        return f"is a safetensors file; {_SAVE}"
    if b"\0" in start:
        return None
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        return f"is a JSON text; {_SAVE}"
    line = text.partition(b"\n")[0]
    if any(separator in line for separator in (b",", b";", b"\t")):
        return "is a table of text (CSV); read it with pandas and save the arrays with numpy.savez"
    return "is a text file; save the arrays with numpy.savez" if text.isascii() else None
