"""Jobs get Snakemake's own Python, and a command's refusal keeps its sentence."""

import os
import sys
from pathlib import Path

import pytest

from tcmbench.common.errors import UserError
from tcmbench.common.interpreter import provide_python, require_success

OWN = Path(sys.executable)


def test_this_python_comes_first_where_it_has_what_jobs_need(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    assert provide_python("numpy") == OWN.with_name("python")
    assert os.environ["PATH"] == f"{OWN.parent}{os.pathsep}/usr/bin"
    provide_python("numpy")
    assert os.environ["PATH"] == f"{OWN.parent}{os.pathsep}/usr/bin"


def test_an_environment_beside_snakemakes_stays_first(monkeypatch, tmp_path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provide_python("no_such_package") == other
    assert os.environ["PATH"] == str(tmp_path)


def test_no_python_at_all_is_refused(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no program of this name is on the path.*make setup"):
        provide_python("no_such_package")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; print('notes\\nerror: é is wrong', file=sys.stderr); sys.exit(2)", "é is w"),
        ("raise ValueError('a defect')", "ValueError: a defect"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_the_reason_of_a_command_is_passed_on(tmp_path, code, sentence) -> None:
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    with pytest.raises(UserError, match=f"^{sentence}"):
        require_success(OWN, script, "")


def test_a_command_that_succeeds_has_read_its_text(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; assert sys.stdin.read() == 'text'")
    require_success(OWN, script, "text")
    with pytest.raises(UserError, match="AssertionError"):
        require_success(OWN, script, "other")
