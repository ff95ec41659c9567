"""Print the table of configuration keys, from the schema that checks them.

python src/config_table.py [--write docs/configuration.md]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError

BEGIN = "<!-- config table: begin -->"
END = "<!-- config table: end -->"
HEADER = ("Key", "Value", "Default", "Meaning")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    description = "Print all keys of config.yaml as a Markdown table, from its schema."
    root = argparse.ArgumentParser(description=description)
    root.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="put the table between the two config-table comments of this file instead",
    )
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print the table, or put it into a document."""
    from tcmbench.common.files import atomic_path
    from tcmbench.config.schema import load_schema

    table = markdown(load_schema())
    if arguments.write is None:
        print(table)
        return
    filled = fill(arguments.write.read_text(encoding="utf-8"), table, arguments.write)
    with atomic_path(arguments.write) as temporary:
        temporary.write_text(filled, encoding="utf-8")


def fill(text: str, table: str, file: Path) -> str:
    """Return `text` with the table in its marked region; `file` is its name for messages.

    Raises:
        UserError: there is not exactly one region.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise UserError(f"{file} must have '{BEGIN}' and '{END}' once each, in this order; add it")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def markdown(schema: dict[str, Any]) -> str:
    """Return one row for each key, in the order of the schema."""
    rows = [HEADER, ("---",) * len(HEADER), *_rows(schema, "", schema)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _rows(part: dict[str, Any], prefix: str, root: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in part.get("properties", {}).items():
        name = f"{prefix}{key}"
        required = key in part.get("required", ())
        default = "required" if required else _default(value)
        yield f"`{name}`", _values(value, root), default, value.get("description", "")
        yield from _rows(value, f"{name}.", root)
        if isinstance(value.get("additionalProperties"), dict):
            yield from _rows(value["additionalProperties"], f"{name}.<name>.", root)
        # A list of what the key may also be alone has no keys of its own.
        if "items" in value and "properties" not in value:
            yield from _rows(value["items"], f"{name}[].", root)


def _default(value: dict[str, Any]) -> str:
    if "properties" in value and value.get("default") is not None:  # each of its keys has its own
        return ""
    return f"`{_plain(value['default'])}`" if "default" in value else ""


def _values(value: dict[str, Any], root: dict[str, Any], plural: str = "") -> str:
    """Say which values a key takes."""
    if "$ref" in value:
        return _values(root["$defs"][value["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in value:
        return " or ".join(_values(part, root) for part in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{_plain(option)}`" for option in value["enum"])
    if value["type"] == "array":
        return f"{value.get('maxItems', 'list of')} {_values(value['items'], root, 's')}"
    if isinstance(value.get("additionalProperties"), dict):
        return "mapping by name"
    if isinstance(value["type"], list):
        return " or ".join(_values(value | {"type": one}, root) for one in value["type"])
    noun = "mapping" if value["type"] == "object" else value["type"]
    return f"{noun}{plural}{_bounds(value)}"


def _bounds(value: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {value[name]}" for name, sign in signs.items() if name in value]
    return f" {' and '.join(bounds)}" if bounds else ""


def _plain(value: Any) -> str:
    """Write a value as YAML does on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    run_command(parser(), command)
