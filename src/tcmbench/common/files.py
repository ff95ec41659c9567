"""Files that are whole or absent: atomic writes, and the hashes that name their content."""

import fcntl
import glob
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError

PART = ".part"
# More than any writer has in its buffer when the disk is full; bytes.
PROBE = 2**20


@contextmanager
def atomic_path(final: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `final`; rename it into place only if the block succeeds.

    The temporary name keeps the suffix of `final`, since many writers choose the format by it.
    Missing parent folders are made. A reader sees the old file or the whole new one, never a part.
    What a killed writer of `final` left behind is removed; a living one keeps its part locked.

    Raises:
        OSError: the disk takes no more, in place of whatever the block made of that; names `final`.
    """
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_dead_parts(final)
    handle, temporary = _locked_part(final)
    try:
        yield temporary
        # mkstemp makes private files; results are meant to be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(final)
    except UserError:
        raise
    except Exception as error:  # torch and safetensors hide a full disk behind errors of their own
        refusal = _refusal(temporary)
        if refusal is None:
            raise
        raise OSError(refusal.errno, refusal.strerror, str(final)) from error
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _refusal(part: Path) -> OSError | None:
    """Return why a file that was not finished cannot grow, None where it can."""
    try:
        with part.open("ab") as stream:
            stream.write(bytes(PROBE))
    except OSError as error:
        return error
    return None


def _locked_part(final: Path) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(
            prefix=f".{final.stem}.", suffix=PART + final.suffix, dir=final.parent
        )
        with suppress(OSError):  # a file system without locks: nothing is removed there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Another process may have taken it for a dead one before it was locked.
        part = Path(name)
        if part.exists():
            return handle, part
        os.close(handle)


def _remove_dead_parts(final: Path) -> None:
    pattern = f".{glob.escape(final.stem)}.*{PART}{glob.escape(final.suffix)}"
    for part in final.parent.glob(pattern):
        with suppress(OSError), part.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def in_folder(folder: Path, name: str) -> Path:
    """Return a file of a folder, also where a browser or a disk has changed its name a little.

    That is letter case, and a number in brackets that tells a second download from the first. The
    exact name wins; where no file has either, it is returned as well.

    Raises:
        UserError: several files have such a name.
    """
    exact = folder / name
    if exact.exists() or not folder.is_dir():
        return exact
    alike = sorted(path for path in folder.iterdir() if bare_name(path.name) == name.casefold())
    if len(alike) > 1:
        raise UserError(
            f"{folder} has no '{name}', but '{alike[0].name}' and '{alike[1].name}'; give the "
            "right one that name"
        )
    return alike[0] if alike else exact


def bare_name(name: str) -> str:
    """Return a file's name in small letters, without the number of a second download."""
    return re.sub(r"[ _]?\(\d+\)", "", name).casefold()


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` atomically as indented JSON; NaN and infinity are refused (`ValueError`)."""
    with atomic_path(path) as temporary:
        text = json.dumps(content, indent=2, allow_nan=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON, which knows no infinity and no NaN.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); repair or recreate it") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
