"""`make setup` finds a Python, replaces an environment that it made, and none of the user's."""

import os
import re
import subprocess
import sys

import pytest

from tests.paths import ROOT


@pytest.fixture
def python(tmp_path):
    """A Python that is of the right version and installs nothing."""
    return script(tmp_path / "python", f"[ $1 != -c ] || echo {tmp_path}/python")


def script(path, line):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def found(path, *named):
    """What `make quick` would take with this PATH, and what it says."""
    return subprocess.run(
        ["/bin/sh", ROOT / "envs/find_python.sh", "make quick", *named],
        env={"PATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_running_python_is_a_fitting_one(tmp_path):
    done = found([], sys.executable)
    lacks_pip = f"{sys.executable} is {'.'.join(map(str, sys.version_info[:3]))} without pip"
    assert done.stdout.strip() == sys.executable or lacks_pip in done.stderr


def test_the_first_fitting_python_of_the_path_is_taken(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    script(old / "python3", "echo 3.9.2")
    script(old / "python3.12", "exit 127")  # a shim of a version that is not chosen
    script(new / "python3.13", "echo /new/python3.13")
    script(new / "python3.11", "echo /new/python3.11")
    done = found([old, new])
    assert (done.returncode, done.stdout, done.stderr) == (0, "/new/python3.13\n", "")
    script(new / "python3", "echo /new/python3")
    assert found([old, new]).stdout == "/new/python3\n"
    named = found([old, new], old / "python3")
    assert named.stdout == "/new/python3\n"
    assert named.stderr == f"note: {old}/python3 is 3.9.2; taking /new/python3\n"
    assert found([old, new], new / "python3.11").stdout == "/new/python3.11\n"


def test_without_a_fitting_python_all_that_was_found_is_named(tmp_path):
    script(tmp_path / "python3", "echo 3.15.0")
    script(tmp_path / "python3.12", "echo 3.12.1 without venv pip")
    done = found([tmp_path, "/usr/bin/nothing"])
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"tcm-bench needs Python 3.11 to 3.14 with pip, but {tmp_path}/python3 is 3.15.0, "
        f"{tmp_path}/python3.12 is 3.12.1 without venv pip (install what it lacks: "
    )
    assert line.endswith("); name another one: make quick PYTHON=/path/to/python")
    none = found([tmp_path / "none"])
    assert "but none starts here; name another one" in none.stderr


def test_what_compiling_takes_is_to_be_installed_too(tmp_path):
    script(tmp_path / "python3.14", "echo 3.14.0 without Python.h gcc")
    # The same one under two names is named once.
    (tmp_path / "python3").symlink_to("python3.14")
    (line,) = found([tmp_path, "/usr/bin/nothing"]).stderr.splitlines()
    assert line.count("3.14.0 without Python.h gcc") == 1
    install = line.partition("(install what it lacks: ")[2].partition(")")[0]
    assert "pip" in install
    assert re.search(r"\bgcc\b", install)


def setup(folder, python):
    return subprocess.run(
        ["make", "--always-make", "setup", f"PYTHON={python}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "VENV": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_environment_of_the_users_is_refused_and_whole(tmp_path, python):
    mine = tmp_path / "env/bin/activate"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = setup(tmp_path / "env", python)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        f"{tmp_path}/env would be replaced, but 'make setup' did not make it; name another folder: "
        "make setup VENV=.venv-tcm"
    )
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("there", ["absent", "empty", "interrupted", "ready"])
def test_its_own_environment_is_replaced(there, tmp_path, python):
    folder = tmp_path / "env"
    if there != "absent":
        folder.mkdir()
    if there in ("interrupted", "ready"):
        (folder / (".ready" if there == "ready" else ".made-by-tcm-bench")).touch()
        (folder / "old").touch()
    done = setup(folder, python)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in folder.iterdir()} == {".ready", ".made-by-tcm-bench"}
