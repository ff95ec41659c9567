"""A file with several arrays, whatever its format: their names, and each when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tcmbench.common.errors import UserError


@dataclass(frozen=True, slots=True)
class Source:
    """Arrays of a file by name; `get` reads one, `words` is what the format calls them."""

    path: Path
    names: tuple[str, ...]
    get: Callable[[str], NDArray[Any]]
    words: str = "array"

    def chosen(self, key: str | None, usual: tuple[str, ...]) -> str | None:
        """Return the name that was asked for, or the first usual one; None where none is there.

        Raises:
            UserError: the name that was asked for is not there.
        """
        if key is not None and key not in self.names:
            raise self.lacks(key)
        return key or next((name for name in usual if name in self.names), None)

    def lacks(self, name: str, option: str = "") -> UserError:
        """Return the error that says so."""
        found = ", ".join(self.names) or "nothing"
        way = f"save it under that name{f', or name another with {option}' if option else ''}"
        return UserError(f"{self.path} has no {self.words} '{name}' (it has {found}); {way}")
