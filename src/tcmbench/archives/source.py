"""The bytes of an archive file, hashed as they pass."""

import hashlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


class Source(io.RawIOBase):
    """A file that is read from front to back; what is passed over is hashed too.

    So a file that is read for its content need not be read again for its hash.

    Args:
        path: the file.
        kinds: hashes to make, such as "sha256"; with none, nothing is read that nobody asks for.
    """

    def __init__(self, path: Path, kinds: Collection[str] = ()) -> None:
        self.path = path
        self.position = 0
        self._file = path.open("rb", buffering=0)
        self._hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the file gives; 0 at its end."""
        count = self._file.readinto(buffer) or 0
        for digest in self._hashes.values():
            digest.update(memoryview(buffer)[:count])
        self.position += count
        return count

    def skip_to(self, position: int) -> None:
        """Go forward to a position.

        Raises:
            ValueError: it lies behind.
        """
        if position < self.position:
            raise ValueError("its members overlap")
        if not self._hashes:
            self.position = self._file.seek(position)
        while self.position < position:
            if not self.read(min(CHUNK, position - self.position)):
                return

    def hashes(self) -> dict[str, str]:
        """Read what is left of the file, and return its hashes in hex, by kind."""
        while self._hashes and self.read(CHUNK):
            pass
        return {kind: digest.hexdigest() for kind, digest in self._hashes.items()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
