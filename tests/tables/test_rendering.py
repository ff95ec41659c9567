"""The tables in the programs that read them: a real pdflatex, and a reader of GitHub tables."""

import re
import shutil
import subprocess

import pytest

from tcmbench.tables.write import write_tables
from tests.tables.run_folders import write_pair
from tests.tables.test_intervals import measured_pair
from tests.tables.test_references import PUBLISHED, typed_in

pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)"
)
ODD = 'a_b&c%#$^~\\{x}<y>|*[z]"'


def tables(root, cell="cub/resnet50/smooth_ap", scale="full"):
    paper = typed_in(root, "cub,resnet50,smooth_ap,66.1,-0.2,0.0042,-0.0013,0.01,-0.04,")
    folders = measured_pair(root, cell) + write_pair(root, "sop/vit_b16/recall_at_k")
    folders += write_pair(root, "sop/vit_b16/recall_at_k", seed=1)
    write_tables(folders, "paper", root / "out", paper, PUBLISHED)
    return root / "out"


@pdflatex
@pytest.mark.parametrize("cell", ["cub/resnet50/smooth_ap", f"cub/{ODD}/smooth_ap"])
def test_latex_compiles_without_a_complaint(tmp_path, cell):
    out = tables(tmp_path, cell)
    document = (
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
        r"\input{comparisons.tex}\end{document}"
    )
    (out / "document.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=out,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (out / "document.pdf").read_bytes().startswith(b"%PDF")
    assert "Output written on document.pdf (1 page" in done.stdout
    assert not re.findall(r"Overfull|Missing character|undefined", done.stdout)


def cells(line):
    """The cells of a line as GitHub reads it: escapes are no separators."""
    inner = re.sub(r"^\||\|$", "", line.strip())
    return [
        re.sub(r"\\([\\|*_`<>\[\]])", r"\1", cell).strip()
        for cell in re.split(r"(?<!\\)(?:\\\\)*\|", inner)
    ]


@pytest.mark.parametrize("name", ["resnet50", "a_b|c*<d>"])
def test_markdown_is_a_table_of_even_rows(tmp_path, name):
    out = tables(tmp_path, f"cub/{name}/smooth_ap")
    lines = (out / "comparisons.md").read_text().splitlines()
    table = [cells(line) for line in lines if line.startswith("|")]
    header, rule, *rows = table
    assert all(re.fullmatch(r"-+:?", cell) for cell in rule)
    assert {len(row) for row in table} == {len(header)}
    assert len(rows) == 2
    assert rows[0][:3] == ["CUB-200-2011", {"resnet50": "ResNet-50"}.get(name, name), "Smooth-AP"]
    assert rows[0][-1] == "n = 1, class bootstrap"
    # The table ends with an empty line, or what follows would be its next row.
    assert lines[len(table)] == ""
