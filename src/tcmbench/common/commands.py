"""The frame that every command runs in."""

import argparse
import errno
import io
import json
import sys
from collections.abc import Callable
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.paths import expanded_options
from tcmbench.common.process import own_process

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT)
# Options of all commands that show results.
TITLES: Any = {
    "type": json.loads,
    "default": {},
    "metavar": "JSON",
    "help": 'titles in place of names, such as \'{"losses": {"mine": "My loss"}}\'; also of '
    "datasets and backbones",
}
OF: Any = {
    "nargs": 2,
    "type": int,
    "metavar": ("COMPARISONS", "SEEDS"),
    "help": "what the whole suite consists of: less is called a part, and no claim is judged by it",
}


def run_command(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], None],
    argv: list[str] | None = None,
) -> None:
    """Parse `argv`, run `command`, and leave with 0, or 2 and one line on standard error.

    `UserError`, `OSError` (unwritable folder, full disk) and a name that the locale cannot spell
    become that line; any other exception is a defect of this project and keeps its traceback.
    `--debug` shows the traceback of all. Without `argv` the process has nothing else to do.
    """
    if argv is None:
        with own_process():
            run_command(parser, command, sys.argv[1:])
        return
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        # A letter that the locale lacks is shown as its number, as on standard error.
        sys.stdout.reconfigure(errors="backslashreplace")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args(argv)
    try:
        # A shell leaves the ~ of `--out=~/data` as it is.
        vars(arguments).update(expanded_options(vars(arguments)))
        command(arguments)
    except (UserError, OSError, UnicodeEncodeError) as error:
        if arguments.debug:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        print("interrupted; the next call continues or starts over cleanly", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}; make room and call again"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}; check that the path exists and can be written"
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{error.object!r} cannot be written in {error.encoding}, the encoding of this locale; "
            "call again with PYTHONUTF8=1 in the environment, or choose another name"
        )
    return " ".join(str(error).split())
