"""Which files of this project a script depends on, found by following its imports.

The workflow declares them as inputs of its jobs: Snakemake by itself tracks the script alone, so
that an edited module would re-run nothing. A file in a folder of plug-ins (a loss, a dataset) is
loaded by name and so is not followed; the rules add the one that a job uses.
"""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from tcmbench.common.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
# Files that its modules read instead of importing them.
TEMPLATES = PACKAGE / "templates"

# These say, store or describe things or pick a GPU and never change a number: editing one re-runs
# nothing.
INERT = frozenset(
    PACKAGE / name
    for name in (
        "__init__.py",
        "commands/__init__.py",
        "common/__init__.py",
        "common/commands.py",
        "common/devices.py",
        "common/errors.py",
        "common/files.py",
        "common/paths.py",
        "common/progress.py",
        "common/provenance.py",
        "common/sources.py",
        "evaluation/text.py",
        "training/failures.py",
        "training/journal.py",
    )
)


def sources(script: Path | str, skip: Collection[str] = ()) -> list[str]:
    """Return the script, every module of the library it imports, and the templates it may fill.

    Imports are followed through other modules; the files come sorted.

    Args:
        script: a Python file, of this project or of a user's.
        skip: folders of the library that are not followed, since only some jobs use them.

    Raises:
        UserError: a file of the user's is missing, or is no Python.
    """
    skipped = [PACKAGE / folder for folder in skip]
    found: set[Path] = set()
    waiting = [Path(script).resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found and path not in INERT and path.parent not in skipped:
            found.add(path)
            waiting.extend(_imported_files(path))
    if any(path.parent == TEMPLATES for path in found):
        found |= {path for path in TEMPLATES.iterdir() if path.is_file()}
    return sorted(str(path) for path in found)


@cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    return tuple(_followed(path))


def _followed(path: Path) -> Iterator[Path]:
    for name in _imported_names(_parsed(path)):
        parts = name.split(".")
        if parts[0] != "tcmbench":
            continue
        # `from tcmbench.room import thing`: `thing` is a module, or a name inside the room.
        for length in range(1, len(parts)):
            base = PACKAGE.joinpath(*parts[1 : length + 1])
            for candidate in (base.with_suffix(".py"), base / "__init__.py"):
                if candidate.is_file():
                    yield candidate


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; correct the path in config.yaml") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read as Python ({error}); correct the file") from None


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
