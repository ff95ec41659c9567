"""The real workflow in copies of this checkout."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

BIN = Path(sys.executable).parent
VENV = BIN.parent


def with_this_python(**changes: str) -> dict[str, str]:
    """Return the environment, changed, with this interpreter's folder first on the path."""
    path = f"{changes.pop('PATH', '')}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **changes, "PATH": path.lstrip(os.pathsep)}


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository, and the commands that are run in it."""

    folder: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this interpreter's environment first on the path."""
        return subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=with_this_python(**environment),
        )

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command likewise; what it says goes to a file."""
        with log.open("a") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=said,
                stderr=said,
                env=with_this_python(**environment),
            )

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the quick suite, or as `arguments` say."""
        suite = () if "--config" in arguments else ("--config", "suite=quick")
        return self.run("snakemake", *arguments, *suite, **environment)

    def planned(self, *arguments: str) -> dict[str, int]:
        """Count the jobs that a dry run would start, by rule; empty where nothing is to be done."""
        done = self.snakemake(*arguments, "-n", "--quiet", "rules")
        assert done.returncode == 0, done.stderr
        table = done.stderr + done.stdout
        if "Nothing to be done" in table:
            return {}
        rows = re.findall(r"^(\w+) +(\d+)$", table.split("Job stats:")[1], re.MULTILINE)
        return {rule: int(count) for rule, count in rows if rule not in ("total", "all")}

    @contextmanager
    def edited(self, name: str, *replacements: tuple[str, str]) -> Iterator[None]:
        """Change a file (without replacements: by a line at its end), and put it back after."""
        path = self.folder / name
        content, stamps = path.read_text(), path.stat()
        changed = content if replacements else f"{content}\n# edited\n"
        for old, new in replacements:
            assert old in changed, f"{name} does not contain {old!r}"
            changed = changed.replace(old, new)
        path.write_text(changed)
        try:
            yield
        finally:
            path.write_text(content)
            os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))

    def copy(self, folder: Path) -> "Checkout":
        """Copy everything, results and Snakemake's own records included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)


def fresh_checkout(folder: Path) -> Checkout:
    """Copy the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return Checkout(folder)


@dataclass(frozen=True)
class QuickSuite:
    """The quick suite after `make quick` in a fresh copy of the repository."""

    checkout: Checkout
    output: str
    seconds: float


def make_quick(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """Run `make quick` with the environment of this interpreter, taken as set up."""
    # `-o` is not handed to the inner make, which would set up this environment anew.
    os.utime(checkout.folder / "requirements.lock", (0, 0))
    return checkout.run("make", "quick", f"VENV={VENV}", "-o", f"{VENV}/.ready")
