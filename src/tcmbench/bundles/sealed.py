"""One sealed archive: a zip with a manifest of hashes, and a seal over every byte of it.

The zip's comment is the SHA-256 of all that stands before it. Whoever unpacks the file with other
tools can check it with `sha256sum -c manifest-sha256.txt`.
"""

import hashlib
import re
import zipfile
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, sha256

MANIFEST = "manifest-sha256.txt"
SEAL = 64
# What a bundle may hold, and how much of it once unpacked.
NAME = re.compile(
    r"bundle\.json|weights/[\w.-]+\.json|"
    r"runs/[\w.-]+/[\w.-]+/[\w.,=~-]+/(base|tcm)/seed\d+/[\w-]+\.(json|parquet|csv|npz)"
)
MOST_BYTES, MOST_FILES = 50_000_000_000, 10_000
_DATE = (1980, 1, 1, 0, 0, 0)


def seal(folder: Path, out: Path) -> None:
    """Write all files of a folder into a sealed zip; equal files give equal bytes."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    lines = "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
    with atomic_path(out) as temporary:
        with zipfile.ZipFile(temporary, "w") as archive:
            archive.comment = b"0" * SEAL
            _add(archive, MANIFEST, lines.encode())
            for name in names:
                _add(archive, name, (folder / name).read_bytes())
        digest = _digest(temporary)
        with temporary.open("r+b") as stream:
            stream.seek(-SEAL, 2)
            stream.write(digest)


def opened(path: Path, folder: Path) -> None:
    """Check the seal and every hash, and unpack into a folder.

    Raises:
        UserError: it is no bundle, was changed, or holds what a bundle does not.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no bundle; make one with 'tcmbench bundle'")
    with path.open("rb") as stream:
        stream.seek(-min(SEAL, path.stat().st_size), 2)
        found = stream.read()
    if found != _digest(path):
        raise UserError(
            f"{path} was changed since it was made: its seal (SHA-256) does not fit its content; "
            "fetch it again, or ask who made it"
        )
    with zipfile.ZipFile(path) as archive:
        _check_names(path, archive)
        archive.extractall(folder)
    _check_hashes(path, folder)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    # Texts shrink to a tenth; the arrays hardly.
    kind = zipfile.ZIP_STORED if name.endswith((".npz", ".parquet")) else zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, kind)


def _digest(path: Path) -> bytes:
    """Return the seal that a file should have."""
    found, left = hashlib.sha256(), path.stat().st_size - SEAL
    with path.open("rb") as stream:
        while left > 0 and (part := stream.read(min(left, 1 << 22))):
            found.update(part)
            left -= len(part)
    return found.hexdigest().encode()


def _check_names(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    strange = [e.filename for e in entries if e.filename != MANIFEST and not _is_known(e.filename)]
    if strange:
        raise UserError(f"{path} holds '{strange[0]}', which no bundle does; make it again")
    if sum(entry.file_size for entry in entries) > MOST_BYTES or len(entries) > MOST_FILES:
        raise UserError(f"{path} would unpack to more than a bundle may; make several")


def _is_known(name: str) -> bool:
    return NAME.fullmatch(name) is not None and not any(
        part.strip(".") == "" for part in name.split("/")
    )


def _check_hashes(path: Path, folder: Path) -> None:
    manifest = folder / MANIFEST
    lines = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    for name in sorted(set(wanted) ^ (there - {MANIFEST})):
        raise UserError(
            f"{path}: '{name}' is in the bundle or in its manifest alone; make it again"
        )
    for name, digest in wanted.items():
        if sha256(folder / name) != digest:
            raise UserError(f"{path}: '{name}' is not what the manifest says; fetch it again")
