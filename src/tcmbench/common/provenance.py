"""Where a number comes from: code, packages and machine, as one JSON-ready dictionary."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tcmbench import __version__

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
