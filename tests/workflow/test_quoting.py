"""Paths in the commands of the rules are quoted: a checkout may lie in a folder with a space."""

import re

import pytest

from tests.paths import ROOT

RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_inputs_of_commands_are_quoted(file):
    shells = re.findall(r"shell:\n((?: +\".*\n)+)", file.read_text())
    bare = [name for text in shells for name in re.findall(r"\{(input[^}:]*)\}", text)]
    assert bare == []


def test_such_commands_are_found():
    assert sum("{input.script:q}" in file.read_text() for file in RULES) >= 7
