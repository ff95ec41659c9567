"""Whether the driver of a GPU is new enough for the CUDA that torch is built for; without torch."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tcmbench.common.errors import UserError

#: The first driver of each generation of CUDA that a build of any minor version runs on (NVIDIA,
#: CUDA compatibility, minor version compatibility).
FIRST_DRIVERS = {11: "450", 12: "525", 13: "580"}


def driver() -> tuple[str, tuple[int, int]] | None:
    """Return the driver's version and the newest CUDA it serves; None where no driver answers."""
    try:
        text = subprocess.run(
            ["nvidia-smi"], capture_output=True, encoding="utf-8", check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"Driver Version: *([\d.]+)", text)
    cuda = re.search(r"CUDA Version: *(\d+)\.(\d+)", text)
    return (version[1], (int(cuda[1]), int(cuda[2]))) if version and cuda else None


def built_for() -> tuple[str, str] | None:
    """Return the version of the torch that is installed here and of its CUDA, without importing it.

    None where there is no torch, or one without CUDA.
    """
    found = find_spec("torch")
    folders = found.submodule_search_locations if found else None
    if not folders:
        return None
    text = Path(folders[0], "version.py").read_text(encoding="utf-8")
    version = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    cuda = re.search(r"^cuda\b.*= '([^']+)'", text, re.MULTILINE)
    return (version[1], cuda[1]) if version and cuda else None


def require_driver(torch: str, cuda: str) -> None:
    """Refuse a driver that is older than torch's CUDA: the card is there, and torch sees none.

    Args:
        torch: version of torch, for the message.
        cuda: version of CUDA that it is built for, such as "13.2".

    Raises:
        UserError: the driver serves only an older generation of CUDA.
    """
    found, wanted = driver(), int(cuda.partition(".")[0])
    if found is None or found[1][0] >= wanted:
        return
    version, (major, minor) = found
    newer = f"driver {FIRST_DRIVERS[wanted]} or newer" if wanted in FIRST_DRIVERS else "a newer one"
    raise UserError(
        f"the GPU's driver {version} serves CUDA up to {major}.{minor}, and torch {torch} is built "
        f"for CUDA {cuda}: it would see no GPU; install {newer}, or a build of torch for CUDA "
        f"{major}, as docs/paper-suite.md says"
    )
