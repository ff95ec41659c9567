"""Which file an archive is: its size and its hashes, and whether it is the published one."""

from pathlib import Path
from typing import Any

from tcmbench.datasets.base import Archive
from tcmbench.download.receipts import Receipt, read_receipt

KINDS = ("sha256", "md5")


def receipt(path: Path, folder: Path, name: str) -> Receipt | None:
    """Return what the download noted of an archive; None where it fits the file no more.

    `name` is the published one, which receipts are called by.
    """
    noted = read_receipt(folder, name)
    return noted if noted and noted.fits(path) else None


def fingerprint(path: Path, folder: Path, name: str) -> dict[str, Any]:
    """Return what tells an archive from an earlier one without reading it.

    That is the hash in its receipt, which a copy elsewhere shares, or else the file's time.
    """
    noted = receipt(path, folder, name)
    if noted is None:
        status = path.stat()
        return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    return {"bytes": noted.bytes, "sha256": noted.sha256}


def kinds_needed(path: Path, folder: Path, archive: Archive) -> tuple[str, ...]:
    """Return the hashes that nobody has made yet; an md5 only where no other is published."""
    if receipt(path, folder, archive.name) is not None:
        return ()
    return KINDS if archive.md5 and not archive.sha256 else KINDS[:1]


def entry(path: Path, folder: Path, archive: Archive, hashes: dict[str, str]) -> dict[str, Any]:
    """Describe an archive for manifest.json, by its receipt or by hashes made here.

    `published` is False where its hash is known and differs; a re-packed archive or a subset may
    be right in all that counts. Where no hash is known, the key is absent.
    """
    noted = receipt(path, folder, archive.name)
    if noted is not None:
        wanted = ("bytes", *KINDS, "source", "published")
        return {key: getattr(noted, key) for key in wanted if getattr(noted, key) is not None}
    found: dict[str, Any] = {"bytes": path.stat().st_size, **hashes}
    for kind, known in (("sha256", archive.sha256), ("md5", archive.md5)):
        if known and kind in hashes:
            return {**found, "published": hashes[kind] == known.lower()}
    return found
