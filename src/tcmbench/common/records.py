"""Dictionaries from JSON files turned into dataclasses, with a sentence for what does not fit."""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tcmbench.common.errors import UserError, nearest

Record = TypeVar("Record")


def build(cls: type[Record], values: Any, where: str) -> Record:
    """Construct the dataclass `cls` from a mapping; `where` names the mapping in messages.

    Raises:
        UserError: not a mapping, an unknown key, a missing key without default, or a value of
            another type.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be an object with keys, not {values!r}")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UserError(f"{where} has an unknown key '{key}'; {nearest(str(key), known)}")
    kinds = get_type_hints(cls)
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            raise UserError(f"{where} lacks the key '{name}'; add it")
        if name in values and not _fits(values[name], kinds[name]):
            kind = inspect.formatannotation(kinds[name])
            raise UserError(f"{where}: '{name}' must be {kind}, not {values[name]!r}; correct it")
    return cls(**values)


def _fits(value: Any, kind: Any) -> bool:
    """Say whether a decoded JSON value is of an annotated type; 1 is a float, true is no number."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):  # built in its turn
        return True
    if origin is UnionType:
        return any(_fits(value, option) for option in inner)
    if origin in (list, tuple):
        whole = isinstance(value, list | tuple) and (origin is list or len(value) == len(inner))
        return whole and all(_fits(item, inner[0]) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else origin or kind)
