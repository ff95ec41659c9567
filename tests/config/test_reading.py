"""A configuration file as written: keys that stand twice, and files that are none."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.common.errors import UserError
from tcmbench.config.check import check
from tcmbench.config.reading import read_config
from tests.paths import ROOT

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_the_shipped_one_is_read_as_yaml_reads_it() -> None:
    path = ROOT / "config.yaml"
    assert read_config(path) == yaml.safe_load(path.read_text())


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_what_has_no_twins_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, value
) -> None:
    path = tmp_path_factory.mktemp("config") / "c.yaml"
    text = yaml.safe_dump(value)
    path.write_text(text, encoding="utf-8")
    assert read_config(path) == yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", "1 and 3"),
        ("losses:\n  x: {}\n\n  y: {}\n  'x': {}\n", "x", "2 and 5"),
        ("list:\n  - {k: 1,\n     k: 1}\n", "k", "2 and 3"),
        ('{"a": {"b": 1,\n "b": 2}}', "b", "1 and 2"),
        ("1: a\n1: b\n", "1", "1 and 2"),
    ],
)
def test_a_key_that_stands_twice_is_refused(
    tmp_path: Path, text: str, key: str, lines: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert str(caught.value) == (
        f"{path} has the key '{key}' twice, in lines {lines}; give one of them another name or "
        "remove it"
    )


def test_equal_keys_of_two_mappings_and_merged_ones_are_no_twins(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1}\nb: {x: 2}\nc: {<<: *a, x: 3}\n1: n\n'1': s\n")
    assert read_config(path)["c"] == {"x": 3}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\n", "is not valid YAML"),
        (b"a: \xff\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content, sentence: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_another_suite_takes_the_place_of_the_chosen_one(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("suite: paper\nsuites: {}\n")
    assert read_config(path, "quick") == {"suite": "quick", "suites": {}}
    assert read_config(path) == {"suite": "paper", "suites": {}}


@pytest.mark.parametrize("text", ["", "- suite\n", "word\n"])
def test_a_file_without_keys_is_refused_by_every_reader(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="has no keys at its top level"):
        check(read_config(path, "quick"), (), ())


@pytest.mark.workflow
@pytest.mark.parametrize("named", [False, True])
def test_the_workflow_refuses_it_before_anything_starts(tmp_path: Path, named: bool) -> None:
    """In the configuration that lies there, and in one that is put on top."""
    shipped = (ROOT / "config.yaml").read_text()
    twice = "\nsuites:\n  quick: {}\nsuites:\n  other: {}\n"
    (tmp_path / "config.yaml").write_text(shipped if named else shipped + twice)
    (tmp_path / "mine.yaml").write_text(twice)
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n"]
    command += ["--configfile", "mine.yaml"] if named else []
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    file = "mine.yaml" if named else "config.yaml"
    output = done.stdout + done.stderr
    (line,) = [line for line in output.splitlines() if "twice, in lines" in line]
    assert f"{file} has the key 'suites' twice" in line
    assert "Traceback" not in output
