"""The frame that every command runs in."""

import argparse
import errno
import sys
from collections.abc import Callable

from tcmbench.common.errors import UserError
from tcmbench.common.paths import expanded_options

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT)


def run_command(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], None],
    argv: list[str] | None = None,
) -> None:
    """Parse `argv`, run `command`, and leave with 0, or 2 and one line on standard error.

    `UserError` and `OSError` (unwritable folder, full disk) become that line; any other exception
    is a defect of this project and keeps its traceback. `--debug` shows the traceback of all.
    """
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args(argv)
    try:
        # A shell leaves the ~ of `--out=~/data` as it is.
        vars(arguments).update(expanded_options(vars(arguments)))
        command(arguments)
    except (UserError, OSError) as error:
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
    return " ".join(str(error).split())
