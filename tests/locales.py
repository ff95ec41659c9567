"""Locales whose encoding is not UTF-8, made here: a machine rarely has them."""

import shutil
import subprocess
from pathlib import Path

import pytest

# Encoding by locale; None is ASCII, which Python itself must be kept from leaving.
LOCALES = {
    "zh_CN.GBK": ("zh_CN", "GBK"),
    "ja_JP.EUC-JP": ("ja_JP", "EUC-JP"),
    "de_DE.ISO-8859-1": ("de_DE", "ISO-8859-1"),
    "C": None,
}


def locale_environment(name: str, folder: Path) -> dict[str, str]:
    """Return the variables under which a process has a locale; skips where it cannot be made.

    Args:
        name: one of `LOCALES`.
        folder: where the locale goes.
    """
    made = LOCALES[name]
    if made is None:
        return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    tool = shutil.which("localedef")
    if tool is None:
        pytest.skip("no localedef to make a locale with")
    folder.mkdir(parents=True, exist_ok=True)
    command = [tool, "-i", made[0], "-f", made[1], folder / name]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (folder / name / "LC_CTYPE").exists():
        pytest.skip(f"localedef cannot make {name}: {done.stderr[-200:]}")
    return {"LC_ALL": name, "LOCPATH": str(folder), "PYTHONUTF8": "0"}
