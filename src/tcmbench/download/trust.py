"""Trust on first use: the hash of a file that nobody has published a hash for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.common.provenance import write_record
from tcmbench.download.identity import Expected


@dataclass(frozen=True, slots=True)
class Trust:
    """The hash that `file` keeps under `key` ("dataset/file name").

    The file is JSON, {key: {"sha256", "bytes", "first_seen": date, "source": address}}, and can be
    committed; what it says once holds for every later run.
    """

    file: Path
    key: str

    def expected(self, size: int | None = None) -> Expected:
        """Return what has to be found: the trusted hash, else `size` in bytes.

        Raises:
            UserError: the file is not such a table.
        """
        entry = self._table().get(self.key)
        if entry is None:
            return Expected(size=size)
        if not (isinstance(entry, dict) and isinstance(entry.get("sha256"), str)):
            raise UserError(f"{self.file}: '{self.key}' has no sha256; remove the entry or mend it")
        origin = (
            f" (trusted since {entry.get('first_seen', 'some day')}; if a change of the file is "
            f"genuine, remove '{self.key}' from {self.file})"
        )
        return Expected(sha256=entry["sha256"], size=size, origin=origin)

    def record(self, sha256: str, size: int, source: str) -> bool:
        """Keep a hash, unless one is kept already; return whether it is new.

        Raises:
            UserError: another one is kept, perhaps by a process that ran beside this one.
        """
        if self._agrees(sha256):
            return False
        from filelock import FileLock

        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_name(f".{self.file.name}.lock")):
            if self._agrees(sha256):
                return False
            entry = {
                "sha256": sha256,
                "bytes": size,
                "first_seen": datetime.now(UTC).date().isoformat(),
                "source": source,
            }
            write_record(self.file, dict(sorted({**self._table(), self.key: entry}.items())))
        return True

    def _agrees(self, sha256: str) -> bool:
        """Say whether this very hash is kept; raise where another one is."""
        kept = self.expected()
        if kept.hash is None:
            return False
        if kept.hash != sha256:
            raise UserError(f"{self.key} has the sha256 {sha256}, not {kept.hash}{kept.origin}")
        return True

    def _table(self) -> dict[str, Any]:
        if not self.file.exists():
            return {}
        table = read_json(self.file)
        if not isinstance(table, dict):
            raise UserError(f"{self.file} must be an object of file names; repair or remove it")
        return table
