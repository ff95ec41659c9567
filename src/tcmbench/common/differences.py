"""What differs between two descriptions of a run, in words."""

import json
from typing import Any

Flat = dict[str, str]


def flat(values: dict[str, Any], prefix: str = "") -> Flat:
    """Return nested settings as one level, `optimization.epochs` and so on, values as JSON."""
    found: Flat = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = json.dumps(value)
    return found


def changed(name: str, old: str | None, new: str | None) -> str:
    """Say how a setting changed, None where it is not there."""
    return f"{name} was {old or 'not there'}, now {new or 'not there'}"
