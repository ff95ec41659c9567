"""The one exception for a user's mistake."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: one sentence saying what is wrong, where, and how to fix it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as "did you mean 'cub'?", or the known names where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
