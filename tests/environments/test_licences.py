"""docs/licences.csv: one row for each locked package, as the installed ones say."""

import csv
import subprocess
import sys
from collections import Counter
from importlib.metadata import distributions

import pytest

import licences
from tests.environments.pinned import locked
from tests.paths import ROOT, SRC

TABLE = ROOT / "docs/licences.csv"
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))


def test_the_table_is_that_of_the_lock():
    rows = [(row["package"], row["version"]) for row in ROWS]
    assert rows == licences.locked(licences.LOCK)
    # The lock as packaging reads it.
    assert {*locked("3.11").items(), *locked("3.12").items()} <= set(rows)


def test_every_package_on_linux_has_a_licence():
    known = {row["package"]: row["licence"] for row in ROWS}
    for name in locked("3.11"):
        assert known[name] not in ("", licences.ABSENT), name
    assert known["numpy"].startswith("BSD-3-Clause")
    assert known["snakemake"].startswith("MIT")


def test_the_installed_packages_still_say_so():
    here = {(one.name.lower(), one.version) for one in distributions()}
    # Of two locked versions, one for each Python, only that of the table's Python was looked at.
    times = Counter(row["package"] for row in ROWS)
    looked_at = [
        row
        for row in ROWS
        if (row["package"], row["version"]) in here and times[row["package"]] == 1
    ]
    assert looked_at
    for row in looked_at:
        assert licences.licence(row["package"]) == row["licence"], row["package"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": ["MIT"], "License": ["other"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: BSD License"]}, "BSD License"),
        ({"Classifier": ["License :: OSI Approved"], "License": ["Zlib"]}, "Zlib"),
        ({"License": ["a long text\n" * 20]}, licences.NONE),
        ({}, licences.NONE),
    ],
)
def test_the_most_exact_statement_counts(fields, expected):
    class About:
        get_all = staticmethod(fields.get)

    class Package:
        metadata = About
        files = None

    assert licences.declared(Package()) == expected


def test_the_command_writes_a_table(tmp_path):
    command = [sys.executable, SRC / "licences.py", "--write", tmp_path / "l.csv"]
    assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / "l.csv").read_text().startswith("package,version,licence\n")
