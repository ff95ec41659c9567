"""What does not travel: absolute paths, and the names of a host and of its user."""

import getpass
import re
import socket
from typing import Any

_ABSOLUTE = re.compile(r"(?:file://)?(?:/|~|[A-Za-z]:[\\/]|\\\\)")
LEFT_OUT = "..."


def scrubbed(value: Any) -> Any:
    """Return decoded JSON without them; of an absolute path its last part is kept."""
    if isinstance(value, dict):
        return {key: scrubbed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [scrubbed(one) for one in value]
    return _text(value) if isinstance(value, str) else value


def is_absolute(path: str) -> bool:
    """Say whether a path starts from the root of a machine, of any kind."""
    return _ABSOLUTE.match(path) is not None


def _text(text: str) -> str:
    parts = re.split(r"([\\/])", text)
    if len(parts) == 1:
        return text
    if is_absolute(text):
        return f"{LEFT_OUT}/{parts[-1]}"
    return "".join(LEFT_OUT if part in _names() else part for part in parts)


def _names() -> set[str]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no entry
        user = ""
    return {name for name in (socket.gethostname(), user) if name}
