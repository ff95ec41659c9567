"""The sentences of docs/troubleshooting.md are those that are said, and every room has its own."""

import ast
import re
from pathlib import Path

import pytest
import snakemake

from tests.documents.pages import PAGES
from tests.paths import ROOT, SRC

ANY = "…"
ROWS = re.findall(r"^\| (`.+?) \| .+ \|$", PAGES["docs/troubleshooting.md"], re.MULTILINE)
SAID = [(one, "Snakemake" in cell) for cell in ROWS for one in re.findall(r"`([^`]+)`", cell)]


def sentences(path: Path) -> list[str]:
    """Return the texts of a Python file, with '…' for what is filled in."""
    tree = ast.parse(path.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in node.values}  # fmt: skip
    return [_text(node) for node in ast.walk(tree) if id(node) not in inside and _text(node)]


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or ANY for part in node.values)
    return ""


OURS = {path: sentences(path) for path in SRC.rglob("*.py")}


def test_there_are_sentences() -> None:
    assert len(SAID) > 80


@pytest.mark.parametrize(("sentence", "of_snakemake"), SAID)
def test_a_sentence_is_said(sentence: str, of_snakemake: bool) -> None:
    parts = [part for part in sentence.split(ANY) if part.strip()]
    assert max(map(len, parts)) > 9, "too short to be found by"
    if of_snakemake:
        texts = [path.read_text() for path in Path(snakemake.__file__).parent.rglob("*.py")]
    else:
        texts = [text for found in OURS.values() for text in found]
        texts += [(ROOT / name).read_text() for name in ("Makefile", "envs/find_python.sh")]
    pattern = re.compile(".*".join(map(re.escape, parts)))
    assert any(pattern.search(text) for text in texts)


def test_every_room_that_refuses_has_a_sentence() -> None:
    patterns = [".*".join(map(re.escape, one.split(ANY))) for one, foreign in SAID if not foreign]
    refusing = {
        path.relative_to(SRC / "tcmbench").parts[0]
        for path in OURS
        if "tcmbench" in path.parts and "raise UserError" in path.read_text()
    }
    answered = {
        path.relative_to(SRC / "tcmbench").parts[0]
        for path, found in OURS.items()
        if "tcmbench" in path.parts
        for pattern in patterns
        if any(re.search(pattern, text) for text in found)
    }
    assert refusing
    assert refusing <= answered
