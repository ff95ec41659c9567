"""CONTRIBUTING's table of rooms holds: which there are, who imports whom, what none may know."""

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator

import pytest

from tests.paths import ROOT, SRC

PACKAGE = "tcmbench"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def _table() -> list[tuple[list[str], list[str]]]:
    """Return the rooms of each row, top to bottom, and the names that they must not import."""
    body = TEXT.split("| Room | What happens in it | What it must not know |\n| --- |")[1]
    lines = body.split("\n\n")[0].splitlines()[1:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return [(_names(rooms), _names(unknown)) for rooms, _, unknown in cells]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


TABLE = _table()
FLOOR = {room: number for number, (rooms, _) in enumerate(TABLE) for room in rooms}
FORBIDDEN = [(room, name) for rooms, names in TABLE for room in rooms for name in names]


@functools.cache
def modules() -> dict[str, frozenset[str]]:
    """Return the modules of the library, each with what it imports, also inside its functions."""
    found = {}
    for path in (SRC / PACKAGE).rglob("*.py"):
        parts = path.relative_to(SRC).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return {name: frozenset(_imports(tree, found)) for name, tree in found.items()}


def _imports(tree: ast.AST, ours: dict[str, ast.Module]) -> Iterator[str]:
    """Yield modules of ours by their full name, and others by that of their package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole way"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head = name.partition(".")[0]
            yield _longest(name, ours) if head == PACKAGE else head


def _longest(name: str, ours: dict[str, ast.Module]) -> str:
    """Cut a name inside a module off."""
    while name not in ours:
        name = name.rpartition(".")[0]
    return name


def room_of(module: str) -> str | None:
    """Return the room of a module, None for another package and for the library's own version."""
    parts = module.split(".")
    if parts[0] != PACKAGE or len(parts) == 1:
        return None
    below = "/".join(parts[1:3])
    return below if (SRC / PACKAGE / below).is_dir() and len(parts) > 2 else parts[1]


@functools.cache
def reached(room: str) -> frozenset[str]:
    """Return all modules that a room imports, directly or through others, its own among them."""
    found: set[str] = set()
    waiting = [name for name in modules() if room_of(name) == room]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += modules().get(name, ())
            # A module's packages are imported before it.
            if name.startswith(f"{PACKAGE}."):
                waiting.append(name.rpartition(".")[0])
    return frozenset(found)


def test_the_table_names_every_room_and_no_other() -> None:
    there = {room for room in map(room_of, modules()) if room}
    assert there == set(FLOOR)


def test_rooms_import_downwards_alone() -> None:
    upward = [
        f"{module} imports {name}"
        for module, names in modules().items()
        for name in names
        for room, other in [(room_of(module), room_of(name))]
        if room and other and room != other and FLOOR[room] >= FLOOR[other]
    ]
    assert not upward


@pytest.mark.parametrize(("room", "name"), FORBIDDEN)
def test_a_room_does_not_know(room: str, name: str) -> None:
    assert not {module for module in reached(room) if _is(module, name)}


def _is(module: str, name: str) -> bool:
    """Say whether a module is the package, lies in the room, or is a plug-in of `folder/*`."""
    if name.endswith("/*"):
        room, last = name[:-2], module.rpartition(".")[2]
        return room_of(module) == room and last not in (room, "base") and last[0] != "_"
    return name in (module, room_of(module)) or (room_of(module) or "").startswith(f"{name}/")


def test_the_forbidden_names_exist() -> None:
    """A mistyped name would forbid nothing."""
    for _, name in FORBIDDEN:
        room = name.removesuffix("/*")
        assert room in FLOOR or importlib.util.find_spec(name), name


def test_no_room_imports_a_door() -> None:
    doors = {path.stem for path in SRC.glob("*.py")}
    assert doors
    assert not {name for names in modules().values() for name in names} & doors
