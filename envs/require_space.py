"""Refuse a set-up for which the disks lack room, before anything is fetched.

envs/require_space.py FOLDER COMMAND    FOLDER is the environment, COMMAND what the user typed.

Measured with requirements.lock of 2026-11: the environment 7.2 GB, the wheels 3.4 GB, which pip
unpacks from its folder for temporary files and keeps in its cache.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT_MB = 7_300
WHEELS_MB = 3_400


def main(folder: Path, command: str) -> int:
    """Print a sentence and return 2 where a disk lacks room, else return 0."""
    needs = {folder: ENVIRONMENT_MB - used_mb(folder), Path(tempfile.gettempdir()): WHEELS_MB}
    cache = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True)
    if not cache.returncode:
        kept = Path(os.fsdecode(cache.stdout).strip())
        needs[kept] = WHEELS_MB - used_mb(kept)
    disks: dict[int, list[Path]] = {}
    for path in needs:
        disks.setdefault(there(path).stat().st_dev, []).append(path)
    for paths in disks.values():
        needed = sum(max(needs[path], 0) for path in paths)
        free = shutil.disk_usage(there(paths[0])).free // 1_000_000
        if free < needed:
            places = ", ".join(f"{needs[path]:,} in {path}" for path in paths if needs[path] > 0)
            print(
                f"the set-up takes up to {needed:,} MB of disk ({places}), but {free:,} MB are "
                f"free there; make room, or name folders on other disks: "
                f"TMPDIR=FOLDER PIP_CACHE_DIR=FOLDER {command} VENV=FOLDER",
                file=sys.stderr,
            )
            return 2
    return 0


def there(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def used_mb(folder: Path) -> int:
    """Return what a folder takes, 0 where there is none."""
    files = (Path(above, name) for above, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_blocks * 512 for file in files) // 1_000_000


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
