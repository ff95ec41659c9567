"""Paths as people write them: `~` is the home folder, `$NAME` a variable of the environment.

A shell expands them in most places, but not in a configuration file, nor behind the = of an option.
"""

import os
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def expanded(path: str) -> str:
    """Return a path with its home folder and variables filled in.

    Raises:
        UserError: there is no such user or variable.
    """
    for found in _VARIABLE.finditer(path):
        name = found[1] or found[2]
        if not os.environ.get(name) and not name[0].isdecimal():
            raise UserError(
                f"the path '{path}' names the variable ${name}, which is not set; set it or write "
                "the path out"
            )
    filled = os.path.expandvars(path)
    if not filled.startswith("~"):
        return filled
    try:
        return str(Path(filled).expanduser())
    except RuntimeError:
        raise UserError(
            f"the path '{path}' begins with '{filled.partition('/')[0]}', but there is no such "
            "user; write the path out"
        ) from None


def expanded_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command with each `Path` expanded, also inside lists."""
    return {name: _filled(value) for name, value in options.items()}


def _filled(value: Any) -> Any:
    if isinstance(value, Path):
        return Path(expanded(str(value)))
    return [_filled(item) for item in value] if isinstance(value, list) else value


def keep_apart(written: Iterable[Path | None], read: Iterable[Path | None] = ()) -> None:
    """Refuse to write over a file that is read, or to write one file twice; None is passed over.

    Links are followed, hard ones too. A file that is not there is known by its place. Where no
    output is there yet, what is read is not looked at.

    Raises:
        UserError: a file of `written` is also in `read`, or twice in `written`.
    """
    outputs: dict[Hashable, Path] = {}
    for path in filter(None, written):
        if (other := outputs.setdefault(_identity(path), path)) is not path:
            raise UserError(
                f"{_called(path, other)} is named for two outputs; give each a name of its own"
            )
    if not any(path.exists() for path in outputs.values()):
        return
    for path in filter(None, read):
        if (output := outputs.get(_identity(path))) is not None:
            raise UserError(
                f"{_called(output, path)} is read and would be overwritten; give the output "
                "another name"
            )


def _identity(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def _called(path: Path, other: Path) -> str:
    return str(path) if path == other else f"{path}, the same file as {other},"
