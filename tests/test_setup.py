"""`make setup` replaces an environment that it made, and none of the user's."""

import subprocess

import pytest

from tests.paths import ROOT


@pytest.fixture
def python(tmp_path):
    """A Python that is of the right version and installs nothing."""
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return path


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
