"""Records name no user and no place on a disk."""

import json
from pathlib import Path

import pytest

from tcmbench.common.provenance import portable, write_record


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "anna/tcm bench").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "anna/tcm bench")
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    return Path.cwd()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("{here}/results/data", "results/data"),
        ("{home}/dml/full/cub", ".../cub"),
        ("/scratch/anna/dml/", ".../dml"),
        ("file://{here}/a%20b.tgz", "file:a b.tgz"),
        ("file:///scratch/anna/b.tgz", "file:.../b.tgz"),
        ("https://anna:secret@mirror.example/a/b.zip?id=1", "https://mirror.example/a/b.zip?id=1"),
        ("https://mirror.example/a@b.zip", "https://mirror.example/a@b.zip"),
        ("ftp://anna@mirror.example", "ftp://mirror.example"),
        ("results/data", "results/data"),
        ("../dml", "../dml"),
        ("by hand", "by hand"),
        ("/", ".../"),
        ("", ""),
        ("commit: /no path\n", "commit: /no path\n"),
        (3, 3),
        (None, None),
    ],
)
def test_a_text_becomes_portable(checkout, given, kept):
    if isinstance(given, str):
        given = given.format(here=checkout, home=checkout.parent)
    assert portable(given) == kept


def test_a_working_directory_above_the_home_folder_shortens_nothing(checkout, monkeypatch):
    monkeypatch.chdir(checkout.parents[1])
    assert portable(str(checkout / "data")) == ".../data"


def test_a_record_is_portable_at_any_depth(checkout):
    record = {"a": [{"b": (str(checkout / "c"), 1.5)}], "/d": "e"}
    write_record(checkout / "r.json", record)
    assert json.loads((checkout / "r.json").read_text()) == {"a": [{"b": ["c", 1.5]}], "/d": "e"}
