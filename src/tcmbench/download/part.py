"""The bytes of a file that have arrived so far."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from tcmbench.common.errors import UserError
from tcmbench.common.files import write_json
from tcmbench.download.identity import Expected


class Part:
    """`.NAME.part` beside the final place of a file, and the hash of what stands in it.

    Bytes go to the disk unbuffered and to the hash at once, so a process killed at any moment
    leaves a part that the next one goes on with; only then is it read, once, for its hash.

    Where no hash is known, `.NAME.part.json` says which version of which address the bytes are of:
    they are gone on with there only, and only as long as that version is served.
    """

    def __init__(self, target: Path, expected: Expected) -> None:
        self.target = target
        self.expected = expected
        self.path = target.with_name(f".{target.name}.part")
        self.pieced = False
        self._note = target.with_name(f".{target.name}.part.json")
        self._known: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self.digest = self.expected.digest()
        if self.path.exists():
            self.digest.read(self.path, f"the part of {self.target.name}")
            self._known = _read_note(self._note)
        self.pieced = self.size > 0
        self._stream = self.path.open("ab", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self.digest.bytes

    def problem(self) -> str | None:
        """Say why this is not the expected file; None where it is, or where nothing is known."""
        return self.expected.problem(self.digest, self.path, self.target.name)

    def is_proven(self) -> bool:
        """Say whether the hash that decides is known and fits."""
        return self.expected.kind is not None and self.problem() is None

    def is_short(self) -> bool:
        """Say whether the published size is known and not reached."""
        return self.expected.size is not None and self.size < self.expected.size

    def validator(self, url: str) -> str | None:
        """Return the version (ETag or date) of `url` that these bytes are of, if it is noted."""
        return self._known.get("validator") if self._known.get("url") == url else None

    def begin(self, url: str, start: int, validator: str | None) -> None:
        """Make ready for bytes of `url` from `start` on: the end of the part, or 0."""
        if start:
            self.pieced = True
        else:
            self.restart()
        if self.expected.kind is None and not start:
            self._known = {"url": url, "validator": validator}
            write_json(self._note, self._known)

    def restart(self) -> None:
        """Throw the bytes away."""
        self._stream.truncate(0)
        self.digest = self.expected.digest()
        self.pieced = False

    def append(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            UserError: they cannot be written (full disk, quota); what is written stays.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                written = self._stream.write(rest)
                self.digest.update(rest[:written])
                rest = rest[written:]
        except OSError as error:
            raise UserError(
                f"cannot write {self.path} ({error.strerror} after {self.size:,} bytes); make "
                "room and call again: the download goes on from there"
            ) from None

    def sync(self) -> None:
        """Wait until the bytes are on the disk: a name must not outlive them in a power cut."""
        os.fsync(self._stream.fileno())

    def publish(self) -> None:
        """Give the file its name."""
        self.path.replace(self.target)
        self._note.unlink(missing_ok=True)


def _read_note(path: Path) -> dict[str, str | None]:
    # A note that is missing or broken only means that the download starts over.
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
