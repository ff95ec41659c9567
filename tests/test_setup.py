"""`make setup` finds a Python, replaces environment that it made, and none of the user's."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.paths import ROOT

# What a Python is asked about itself.
JUDGE = (ROOT / "envs/find_python.sh").read_text().partition("judge='")[2].partition("'\n")[0]


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
    compiler = shutil.which("gcc")  # which 3.14 is asked for
    done = found([Path(compiler).parent] if compiler else [], sys.executable)
    lacks = f"{sys.executable} is {'.'.join(map(str, sys.version_info[:3]))} without "
    assert done.stdout.strip() == sys.executable or lacks in done.stderr


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


@pytest.mark.parametrize(
    ("version", "header", "gcc", "lacks"),
    [
        ((3, 14), False, None, "Python.h gcc"),
        ((3, 14), True, None, "gcc"),
        ((3, 14), True, "/usr/bin/gcc", ""),
        ((3, 13), False, None, ""),
    ],
)
def test_a_compiler_is_asked_for_where_there_is_no_wheel(
    monkeypatch, capsys, tmp_path, version, header, gcc, lacks
):
    if header:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sys, "version_info", (*version, 2))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: gcc)
    exec(JUDGE, {})
    said = capsys.readouterr().out.strip()
    assert said == (f"3.14.2 without {lacks}" if lacks else sys.executable)


@pytest.mark.parametrize(
    ("modules", "lacks"),
    [({"venv", "pip"}, ""), ({"venv", "ensurepip"}, ""), ({"venv"}, "pip"), ({"pip"}, "venv")],
)
def test_ensurepip_is_as_good_as_pip(monkeypatch, capsys, modules, lacks):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in modules or None)
    exec(JUDGE, {})
    assert capsys.readouterr().out.strip() == (
        f"3.12.1 without {lacks}" if lacks else sys.executable
    )


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


@pytest.fixture
def small(tmp_path):
    with mounted(tmp_path / "small", "size=64m") as disk:
        yield disk


def test_a_disk_without_room_is_said_before_anything_is_fetched(small, tmp_path):
    """Each disk is asked for what will lie on it, less what lies there already."""

    def said(venv, temporary, cache):
        done = subprocess.run(
            [sys.executable, ROOT / "envs/require_space.py", venv, "make quick"],
            env={**os.environ, "TMPDIR": str(temporary), "PIP_CACHE_DIR": str(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert not done.stdout
        return done.stderr.partition("; make room")[0]

    (small / "tmp").mkdir()
    (small / "venv").mkdir()
    (small / "venv/old").write_bytes(bytes(20_000_000))
    free = shutil.disk_usage(small).free // 1_000_000
    has = importlib.util.find_spec("pip") is not None
    assert said(small / "venv", small / "tmp", small / "absent/cache") == (
        f"the set-up takes up to {7_300 - 20 + 3_400 * (1 + has):,} MB of disk (7,280 in "
        f"{small}/venv, 3,400 in {small}/tmp{f', 3,400 in {small}/absent/cache' * has}), but "
        f"{free} MB are free there"
    )


def test_without_room_the_old_environment_stays(tmp_path):
    (tmp_path / "env").mkdir()
    (tmp_path / "env/.ready").touch()
    lines = f"""case "$1" in -c) echo {tmp_path}/python ;; *require_space.py) exit 2 ;; esac"""
    done = setup(tmp_path / "env", script(tmp_path / "python", lines))
    assert done.returncode == 2
    assert [path.name for path in (tmp_path / "env").iterdir()] == [".ready"]


@pytest.mark.parametrize("pip", [True, False])
def test_without_pip_the_environment_brings_its_own(tmp_path, pip):
    told = tmp_path / "told"
    # It says what it is called with, and makes environment whose Python does.
    lines = f"""case "$2" in
      'import pip') exit {int(not pip)} ;;
      venv) mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
    esac
    if [ "$1" = -c ]; then echo {tmp_path}/python; else echo "$0 $*" >> {told}; fi"""
    done = setup(tmp_path / "env", script(tmp_path / "python", lines))
    assert done.returncode == 0, done.stderr
    own, ours = f"{tmp_path}/python", f"{tmp_path}/env/bin/python"
    space, first, *rest = told.read_text().splitlines()
    assert space == f"{own} envs/require_space.py {tmp_path}/env make setup"
    assert first == f"{own} -m venv --without-pip {tmp_path}/env"
    assert [f"{ours} -m ensurepip"] * (not pip) == [line for line in rest if "ensurepip" in line]
    installs = [line for line in rest if " install " in line]
    assert len(installs) == 2
    for line in installs:
        assert line.startswith(f"{own if pip else ours} -m pip --python {ours} install --quiet")
