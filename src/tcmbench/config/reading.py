"""A configuration file as it was written: YAML would take the last of two equal keys."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    import yaml


def read_config(path: Path, suite: str | None = None) -> Any:
    """Return the content of a YAML or JSON file, with another suite where one is named.

    Raises:
        UserError: the file is missing, is not valid, or has a key twice in one mapping.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, yaml.SafeLoader)
        for first, second in _twins(tree):
            raise UserError(
                f"{path} has the key '{second.value}' twice, in lines {_line(first)} and "
                f"{_line(second)}; give one of them another name or remove it"
            )
        found = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); name another file") from None
    # YAML's own readers of dates and numbers raise ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({where}); repair it") from None
    return found | {"suite": suite} if suite and isinstance(found, dict) else found


def _twins(tree: "yaml.Node | None") -> "Iterator[tuple[yaml.Node, yaml.Node]]":
    """Yield each key that a mapping has had before, with the earlier one; at any depth."""
    import yaml

    waiting, known = [tree], set[int]()
    while waiting:
        node = waiting.pop()
        # An alias leads to a node that was seen, perhaps around it.
        if node is None or id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: dict[Hashable, yaml.Node] = {}
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if (key.tag, key.value) in seen:
                        yield seen[key.tag, key.value], key
                    seen[key.tag, key.value] = key


def _line(node: "yaml.Node") -> int:
    """Return the line of a node, counted from 1."""
    return int(node.start_mark.line) + 1
