"""What every room stands on: errors in one line, whole files or none, checked records."""

import argparse
import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError, nearest
from tcmbench.common.files import atomic_path, read_json, sha256, write_json
from tcmbench.common.records import build
from tests.paths import SRC

# --- errors


def outcome(error, *argv):
    def command(arguments):
        if error is not None:
            raise error

    with pytest.raises(SystemExit) as stop:
        run_command(argparse.ArgumentParser(), command, list(argv))
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("batch is\n  too large; lower it"), "batch is too large; lower it"),
        (
            PermissionError(13, "Permission denied", "/srv/x"),
            "Permission denied: /srv/x; check that the path exists and can be written",
        ),
        (
            OSError(28, "No space left on device", "/srv/x"),
            "No space left on device: /srv/x; make room and call again",
        ),
        (
            OSError(28, "No space left on device"),
            "No space left on device; make room and call again",
        ),
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
    ],
)
def test_a_users_mistake_is_one_line(capsys, error, line):
    assert outcome(error) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_interruption_has_its_own_code(capsys):
    assert outcome(KeyboardInterrupt()) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_success_and_debug():
    parser = argparse.ArgumentParser
    run_command(parser(), lambda arguments: None, [])
    with pytest.raises(UserError):
        run_command(parser(), failing, ["--debug"])
    with pytest.raises(ZeroDivisionError):
        run_command(parser(), lambda arguments: 1 / 0, [])


def failing(arguments):
    raise UserError("no")


def test_nearest():
    assert nearest("cubb", ["sop", "cub"]) == "did you mean 'cub'?"
    assert nearest("xyz", ["sop", "cub"]) == "known: cub, sop"


# --- files


def test_atomic_path_appears_whole(tmp_path):
    final = tmp_path / "new/folder/table.csv"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.suffix == ".csv"
        temporary.write_text("half")
        assert not final.exists()
        temporary.write_text("whole")
    assert final.read_text() == "whole"
    assert list(final.parent.iterdir()) == [final]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(final.stat().st_mode) == 0o666 & ~umask


def write_half(final, error):
    with atomic_path(final) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_path_keeps_the_old_file_when_the_block_fails(tmp_path, error):
    final = tmp_path / "table.csv"
    final.write_text("old")
    with pytest.raises(error):
        write_half(final, error)
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


def test_atomic_path_removes_what_the_dead_left_and_nothing_else(tmp_path):
    kept = [tmp_path / name for name in (".b.x.part.csv", ".a.x.csv", "a.part.csv", ".a.part")]
    final = tmp_path / "a.csv"
    for path in kept:
        path.write_text("mine")
    writer = (
        f"import os, sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from tcmbench.common.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as part: part.write_text('half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", writer, final], check=False).returncode == 9
    (left,) = tmp_path.glob(".a.*.part.csv")
    with atomic_path(final) as first:
        assert not left.exists()
        with atomic_path(final) as second:
            assert first.exists()
            second.write_text("second")
        first.write_text("first")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, final])
    assert final.read_text() == "first"


def test_json_comes_back_and_nothing_is_written_of_what_has_no_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, None, 0.1]})
    assert read_json(path) == {"a": [1, None, 0.1]}
    assert path.read_text().endswith("}\n")
    for content in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            write_json(path, {"loss": content})
    assert read_json(path) == {"a": [1, None, 0.1]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[NaN]", b"[-Infinity]", b"[1e999]"]
)
def test_json_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match=f"^{path} does not exist; check the path$"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path} is not valid JSON \\("):
        read_json(path)


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=5000))
def test_sha256_is_that_of_the_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


# --- records


@dataclass(frozen=True)
class Part:
    size: int


@dataclass(frozen=True)
class Whole:
    name: str
    rate: float
    steps: list[int]
    span: tuple[float, float]
    part: Part
    flag: bool = False
    note: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


GOOD = {"name": "a", "rate": 1, "steps": [1, 2], "span": [0, 1.5], "part": {"size": 2}}


@pytest.mark.parametrize(
    "more", [{}, {"flag": True, "note": None, "more": {"x": [1]}}, {"note": "b"}]
)
def test_record_is_built(more):
    found = build(Whole, json.loads(json.dumps(GOOD | more)), "here")
    assert found.rate == 1
    assert found.note == more.get("note")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1], "here must be an object with keys, not [1]"),
        (GOOD | {"stepz": []}, "here has an unknown key 'stepz'; did you mean 'steps'?"),
        ({"name": "a"}, "here lacks the key 'rate'; add it"),
        (GOOD | {"rate": "1"}, "here: 'rate' must be float, not '1'; correct it"),
        (GOOD | {"rate": True}, "here: 'rate' must be float, not True; correct it"),
        (GOOD | {"steps": 3}, "here: 'steps' must be list[int], not 3; correct it"),
        (GOOD | {"steps": [1, 2.5]}, "here: 'steps' must be list[int], not [1, 2.5]; correct it"),
        (GOOD | {"span": [1]}, "here: 'span' must be tuple[float, float], not [1]; correct it"),
        (GOOD | {"flag": 1}, "here: 'flag' must be bool, not 1; correct it"),
        (GOOD | {"note": 5}, "here: 'note' must be str | None, not 5; correct it"),
        (GOOD | {"name": None}, "here: 'name' must be str, not None; correct it"),
        (GOOD | {"more": []}, "here: 'more' must be dict[str, Any], not []; correct it"),
    ],
)
def test_record_that_does_not_fit(values, sentence):
    with pytest.raises(UserError) as error:
        build(Whole, values, "here")
    assert str(error.value).replace("typing.", "") == sentence
