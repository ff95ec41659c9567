"""Dictionaries from JSON files turned into dataclasses, with a sentence for what does not fit."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from tcmbench.errors import UserError, nearest

Record = TypeVar("Record")


def build(cls: type[Record], values: Any, where: str) -> Record:
    """Construct the dataclass `cls` from a mapping; `where` names the mapping in messages.

    Raises:
        UserError: not a mapping, an unknown key, or a missing key without default.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be an object with keys, not {values!r}")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UserError(f"{where} has an unknown key '{key}'; {nearest(str(key), known)}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            raise UserError(f"{where} lacks the key '{name}'; add it")
    return cls(**values)
