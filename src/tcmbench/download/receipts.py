"""What was verified, written beside it: the proof that spares the next call a full read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.provenance import write_record
from tcmbench.download.identity import Digest, Expected

BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of a verified file; `md5` only where it decided.

    Attributes:
        file: its name.
        bytes: its size.
        mtime_ns: when it was last changed, ns since the epoch.
        sha256: as computed, 64 hex digits.
        md5: as computed, 32 hex digits, or None.
        source: the address that gave it, or "by hand".
        published: whether the hash that decided was known beforehand, not one of first use.
    """

    file: str
    bytes: int
    mtime_ns: int
    sha256: str
    md5: str | None
    source: str
    published: bool

    @classmethod
    def of(
        cls, place: Path, digest: Digest, source: str, *, name: str, published: bool
    ) -> "Receipt":
        """Describe a file that was just verified, with the hashes taken of it.

        `name` is the published one, whatever the file is called.
        """
        hashes = digest.all()
        return cls(
            file=name,
            bytes=digest.bytes,
            mtime_ns=place.stat().st_mtime_ns,
            sha256=hashes["sha256"],
            md5=hashes.get("md5"),
            source=source,
            published=published,
        )

    def covers(self, target: Path, expected: Expected) -> bool:
        """Say whether the file is unchanged since, by size and time, and is the expected one."""
        if expected.kind is None:
            return self.fits(target) and expected.size in (None, self.bytes)
        return self.fits(target) and getattr(self, expected.kind) == expected.hash

    def fits(self, target: Path) -> bool:
        """Say whether the file is unchanged since, by size and time."""
        stat = target.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.bytes, self.mtime_ns)

    def write(self, folder: Path) -> None:
        """Write `NAME.verified.json`.

        Raises:
            UserError: the folder cannot be written; the message names the way round.
        """
        try:
            write_record(folder / receipt_name(self.file), asdict(self))
        except OSError as error:
            raise UserError(
                f"{self.file} is the right file, but its receipt cannot be written to {folder} "
                f"({error.strerror}); name a folder that can be written with --receipts"
            ) from None


def receipt_name(name: str) -> str:
    """Return the name of a file's receipt."""
    return f"{name}.verified.json"


def read_receipt(folder: Path, name: str) -> Receipt | None:
    """Return the receipt of a file; None where there is none, or none that makes sense."""
    try:
        content: Any = json.loads((folder / receipt_name(name)).read_text(encoding="utf-8"))
        return Receipt(**content)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
