"""Where a number comes from: code, packages and machine, as one JSON-ready dictionary.

Records are passed on, so they name no host and no user, and no place on a disk: `write_record`.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tcmbench import __version__
from tcmbench.common.files import write_json

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pandas",
    "pillow",
    "scipy",
    "scikit-learn",
    "pytorch-metric-learning",
    "matplotlib",
    "snakemake",
)

# Stands for the folders that are left out.
CUT = ".../"


def provenance() -> dict[str, Any]:
    """Describe the code version, the packages, the machine and the time of this process.

    Anything that cannot be found out (no git, no GPU) is recorded as `None`, never fatal.
    """
    return {
        "tcm_bench": __version__,
        "git": _git(),
        "packages": _packages(),
        "python": platform.python_version(),
        "hardware": _hardware(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_record(path: Path, record: Any) -> None:
    """Write a record as JSON, whole or not at all, without places on a disk: see `portable`."""
    write_json(path, portable(record))


def portable(value: Any) -> Any:
    """Return a JSON value in which no string is an absolute path or says who fetched from where.

    A path below the working directory becomes relative to it, of any other its last name is left,
    behind `.../`; so does the path of a `file:` address. Other addresses lose user and password.
    """
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return _portable(value) if isinstance(value, str) else value


def _portable(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() == "file":
        return f"file:{_portable(unquote(urlsplit(text).path))}"
    if separator and scheme.isalnum():
        host, slash, place = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{place}"
    path = Path(text)
    if not path.is_absolute() or "\n" in text:
        return text
    below = path.is_relative_to(Path.cwd()) and not Path.home().is_relative_to(Path.cwd())
    return str(path.relative_to(Path.cwd())) if below else f"{CUT}{path.name}"


def _git() -> dict[str, Any] | None:
    """Return the commit of this source tree and whether files differ from it."""
    source = Path(__file__).resolve().parent
    try:
        commit = _run_git(source, "rev-parse", "HEAD").strip()
        # Results lie inside the repository but are ignored by git, so they do not make it dirty.
        dirty = bool(_run_git(source, "status", "--porcelain", "--untracked-files=normal").strip())
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _run_git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=30,
    ).stdout


def _packages() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _hardware() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "gpu": _gpu_name(),
    }


def _cpu_name() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def _gpu_name() -> str | None:
    # Torch is asked only where it is loaded already: importing it for a name costs seconds.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
