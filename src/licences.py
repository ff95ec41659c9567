"""List the licences of all locked packages, as the installed ones declare them.

python src/licences.py [--write docs/licences.csv]
"""

import argparse
import csv
import io
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tcmbench.common.commands import run_command

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
COLUMNS = ("package", "version", "licence")
ABSENT = "not installed on Linux"
NONE = "none declared"
# In place of a licence's name, some packages have its whole text.
LONGEST = 60


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root.add_argument(
        "--write", type=Path, metavar="FILE.csv", help="write the table here instead of printing it"
    )
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print the table, or write it."""
    from tcmbench.common.files import atomic_path

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((name, version, licence(name)) for name, version in locked(LOCK))
    if arguments.write is None:
        print(table.getvalue(), end="")
        return
    with atomic_path(arguments.write) as temporary:
        temporary.write_text(table.getvalue(), encoding="utf-8")


def locked(lock: Path) -> list[tuple[str, str]]:
    """Return name and version of each entry of a lock, in its order."""
    return re.findall(
        r"^([a-z0-9][\w.-]*)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )


def licence(name: str) -> str:
    """Return what an installed package declares, the most exact of its statements."""
    try:
        return declared(distribution(name))
    except PackageNotFoundError:
        return ABSENT


def declared(package: Distribution) -> str:
    """Return an SPDX expression, else the classifiers, else a short text or a file's first line."""
    about = package.metadata
    if expression := about.get_all("License-Expression"):
        return str(expression[0])
    listed = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    texts = [*(about.get_all("License") or ()), *_titles(package)]
    short = (" ".join(text.split()) for text in texts)
    return ", ".join(listed) or next((text for text in short if 0 < len(text) <= LONGEST), NONE)


def _titles(package: Distribution) -> list[str]:
    """Return the first line of each licence file."""
    names = [path for path in package.files or () if re.match(r"licen[cs]e", path.name.lower())]
    texts = (path.read_binary().decode(errors="replace") for path in names)
    return [text.strip().partition("\n")[0] for text in texts]


if __name__ == "__main__":
    run_command(parser(), command)
