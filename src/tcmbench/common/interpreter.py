"""The Python that jobs call as `python`: Snakemake's own, also where it is not activated."""

import codecs
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tcmbench.common.errors import UserError

SETUP = "set one up with `make setup`, and call its Snakemake: .venv/bin/snakemake"


def use_utf8() -> None:
    """Start this process anew in Python's UTF-8 mode where the locale has another encoding.

    Titles and paths of config.yaml go to jobs in commands, whose letters a locale such as GBK may
    lack; the names of files are UTF-8 nearly everywhere. What is started from here follows.
    """
    os.environ["PYTHONUTF8"] = "1"
    program = Path(sys.argv[0])
    called = program.name == "snakemake" or program.parent.name == "snakemake"
    if called and codecs.lookup(sys.getfilesystemencoding()).name != "utf-8":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def provide_python(package: str) -> Path:
    """Return the Python that commands find on the path; this one is put first there.

    Where this one lacks the package, Snakemake lives apart from what it starts, and the environment
    that is activated beside it is left in its place.

    Args:
        package: what jobs cannot do without.

    Raises:
        UserError: commands would find no Python at all.
    """
    folder = Path(sys.executable).parent
    if find_spec(package):
        path = os.environ.get("PATH", os.defpath)
        if path.split(os.pathsep)[0] != str(folder):
            os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
    found = shutil.which("python")
    if found is None:
        raise UserError(
            f"jobs are called by `python`, but no program of this name is on the path, nor beside "
            f"{sys.executable}; {SETUP}"
        )
    return Path(found)


def require_success(python: Path, script: Path, text: str, arguments: Sequence[str] = ()) -> None:
    """Give a command of `src/` a text to read, and refuse for the reason for which it refuses.

    Raises:
        UserError: the command ended with another exit code than 0.
    """
    done = subprocess.run(
        [python, script, *arguments], input=text, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(said[-1].removeprefix("error: "))
