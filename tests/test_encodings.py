"""Text is UTF-8 whatever the locale says: each file of text is opened by this name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT, SRC

FILES = sorted(SRC.rglob("*.py"))
RULES = sorted([ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")])


def unnamed(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that open text without naming its encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg for keyword in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("read_text", "write_text"):
            text = True
        elif name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile"):
            text = _is_text(node, name)
        else:
            text = bool({"text", "universal_newlines"} & given)
        if text and "encoding" not in given:
            yield node.lineno


def _is_text(node: ast.Call, name: str) -> bool:
    """Say whether a file is opened as text; what opens archives and images is no file."""
    module = getattr(getattr(node.func, "value", None), "id", "")
    if module in ("Image", "tarfile", "igzip", "os"):
        return name == "fdopen"
    modes = [k.value for k in node.keywords if k.arg == "mode"] or node.args
    words = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    mode = next((word for word in words if set(word) <= set("rwxabt+")), None)
    return "b" not in (mode or ("w+b" if "Temporary" in name else "r"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_the_encoding_is_named(path: Path) -> None:
    lines = list(unnamed(ast.parse(path.read_text(encoding="utf-8"))))
    assert not lines, f"{path} opens text without encoding= in lines {lines}"


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_name_it_too(path: Path) -> None:
    """Rules are no Python: a line that opens text has the encoding in it."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if any(call in line for call in ("read_text(", "write_text(", "open(")):
            assert 'encoding="utf-8"' in line


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.open('rb')", False),
        ("open(path, mode='w')", True),
        ("path.open('w', encoding='utf-8')", False),
        ("subprocess.run(a, text=True)", True),
        ("Image.open(path)", False),
    ],
)
def test_such_calls_are_found(code: str, found: bool) -> None:
    assert bool(list(unnamed(ast.parse(code)))) is found
