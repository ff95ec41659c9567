"""The schema of config.yaml: what it refuses, in one sentence, and the defaults it fills in."""

import functools
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError, nearest
from tcmbench.common.paths import expanded

Config = dict[str, Any]

SCHEMA = Path(__file__).resolve().parents[3] / "workflow/schemas/config.schema.yaml"


@functools.cache
def load_schema() -> Config:
    """Read the schema of config.yaml."""
    import yaml

    schema: Config = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    return schema


def settings() -> Config:
    """Return the schema of each setting of a recipe, by name."""
    recipe = load_schema()["properties"]["recipes"]["items"]["properties"]
    found: Config = recipe["set"]["properties"]
    return found


def validated(raw: Config) -> Config:
    """Return the content of config.yaml with the defaults filled in and its paths expanded.

    Raises:
        UserError: an unknown key, a value that the schema refuses, or a path with an unknown
            variable.
    """
    import jsonschema

    schema = load_schema()
    raw = _read_as_meant(raw, schema)
    errors = jsonschema.Draft202012Validator(schema).iter_errors(raw)
    first = min(errors, key=lambda error: len(error.absolute_path), default=None)
    if first is not None:
        raise UserError(_sentence(first))
    config: Config = _with_defaults(raw, schema)
    return config


def _read_as_meant(value: Any, schema: Any) -> Any:
    """Take words for the booleans and numbers that the schema asks for there.

    On the command line `false` and nested numbers arrive as text, and YAML reads 1e-3 as text.
    """
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        return [_read_as_meant(item, schema.get("items")) for item in value]
    if isinstance(value, dict):
        known: Config = schema.get("properties", {})
        other = schema.get("additionalProperties")
        return {key: _read_as_meant(item, known.get(key, other)) for key, item in value.items()}
    if isinstance(value, str) and schema.get("type") in ("boolean", "number", "integer"):
        return _word(value, schema["type"])
    return value


def _word(text: str, kind: str) -> Any:
    """Return the boolean or number that a word spells, or the word where it spells none."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if kind == "integer" and number.is_integer() else number


def _with_defaults(value: Any, schema: Any) -> Any:
    """Fill in the schema's defaults, in every object that is there or has a default itself.

    What the schema calls a path is expanded.
    """
    if not isinstance(schema, dict) or "$ref" in schema:
        return value
    if schema.get("format") == "path" and isinstance(value, str):
        return expanded(value)
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    known: Config = schema.get("properties", {})
    filled = {key: part["default"] for key, part in known.items() if "default" in part} | value
    other = schema.get("additionalProperties")
    return {key: _with_defaults(item, known.get(key, other)) for key, item in filled.items()}


def _sentence(error: Any) -> str:
    """Say a schema error as one sentence with the key, the value and the nearest valid one."""
    where = ".".join(str(part) for part in error.absolute_path)
    if not error.absolute_path and error.validator == "type":
        return "config.yaml has no keys at its top level; start from the one of this repository"
    prefix = f"{where}." if where else ""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        key = next(name for name in error.instance if name not in known)
        return f"config.yaml has an unknown key '{prefix}{key}'; {nearest(str(key), known)}"
    if error.validator == "enum":
        options = [str(option) for option in error.validator_value]
        hint = nearest(str(error.instance), options)
        return f"config.yaml key '{where}' cannot be {error.instance!r}; {hint}"
    if error.validator == "type":
        meaning = error.schema.get("description", "see docs/configuration.md")
        return (
            f"config.yaml key '{where}' must be of type {error.validator_value}, "
            f"not {error.instance!r}; {meaning}"
        )
    name = where or "(top level)"
    return f"config.yaml key '{name}' is wrong: {error.message}; see docs/configuration.md"
