"""The command line: `tcmbench NAME ...`; each file of this folder is one, but for `_*.py`.

A command's file has `parser()` and `command(arguments)`, its first line says what it does, and
nothing heavy is imported before it runs.
"""

import argparse
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from tcmbench import __version__
from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError, nearest
from tcmbench.common.process import own_process

PROGRAM = "tcmbench"
# Packages that are called otherwise where they are installed from.
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def names() -> list[str]:
    """Return the names of all commands, sorted."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name for name in found if not name.startswith("_"))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the first word names on the other words."""
    if argv is None:
        with own_process():
            main(sys.argv[1:])
        return
    words = list(argv)
    if not words or words[0].startswith("-"):
        _root().parse_args(words or ["--help"])
        return
    name, *rest = words
    if name not in names():
        _root().error(f"there is no command '{name}'; {nearest(name, names())}")
    module = import_module(f"{__name__}.{name}")
    parser = module.parser()
    parser.prog = f"{PROGRAM} {name}"
    run_command(parser, lambda arguments: _with_packages(module.command, arguments), rest)


def _with_packages(
    command: Callable[[argparse.Namespace], None], arguments: argparse.Namespace
) -> None:
    """Run a command; a package that a bare installation lacks is the user's to add."""
    try:
        command(arguments)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package == PROGRAM:
            raise
        wanted = DISTRIBUTIONS.get(package, package)
        raise UserError(
            f"this needs the package {wanted}, which is not installed; pip install {wanted}"
        ) from None


def _root() -> argparse.ArgumentParser:
    lines = [f"  {name:<11}{_summary(name)}" for name in names()]
    root = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND ...",
        description="Does one distance threshold fit every class?",
        epilog="\n".join(["commands:", *lines, "", f"{PROGRAM} COMMAND --help says more"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return root


def _summary(name: str) -> str:
    return str(import_module(f"{__name__}.{name}").__doc__).partition("\n")[0]
