"""Paths as people write them: `~` is the home folder, `$NAME` a variable of the environment.

A shell expands them in most places, but not in a configuration file, nor behind the = of an option.
"""

import os
import re
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
