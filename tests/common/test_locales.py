"""Commands in a locale that is not UTF-8: files stay UTF-8, and what cannot be said is no crash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.locales import LOCALES, locale_environment
from tests.paths import SRC

SCRIPT = """
import argparse
import sys
from pathlib import Path
from tcmbench.common.commands import run_command
from tcmbench.common.files import read_json, write_json
from tcmbench.config.reading import read_config
from tcmbench.config.schema import load_schema

def command(arguments):
    title = read_config(Path("title.yaml"))["title"]
    assert title == "Größe 漢字 é", ascii(title)
    print(title)
    write_json("title.json", {"title": title})
    assert read_json("title.json") == {"title": title}
    load_schema()
    if arguments.name:
        Path("漢é").with_name("Ж漢é").open("x")

parser = argparse.ArgumentParser()
parser.add_argument("--name", action="store_true")
run_command(parser, command)
"""


@pytest.fixture(params=LOCALES)
def run(request, tmp_path: Path):
    """Run the script in a folder with a title, under each locale."""
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "title.yaml").write_text("title: Größe 漢字 é\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONIOENCODING": ""}
    environment |= locale_environment(request.param, tmp_path / "locales")

    def start(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "script.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)

    return request.param, start


def test_text_is_utf8_in_every_locale(run) -> None:
    name, start = run
    done = start()
    assert done.returncode == 0, done.stderr
    encoding = (LOCALES[name] or ("", "ascii"))[1]
    # What the locale can spell is spelled by it, the rest by its number.
    wanted = "Größe 漢字 é\n".encode(encoding, errors="backslashreplace")
    assert done.stdout == wanted


def test_a_name_that_the_locale_cannot_spell_is_one_sentence(run) -> None:
    name, start = run
    done = start("--name")
    if done.returncode == 0:
        assert name not in ("C", "de_DE.ISO-8859-1")
        return
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert b"the encoding of this locale; call again with PYTHONUTF8=1" in line
