"""Embeddings made elsewhere: their table, their figure, their place on the page."""

import html
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tcmbench.common.errors import UserError
from tcmbench.entries import write_entries
from tcmbench.page import write_page
from tcmbench.page.write import Material
from tests.paths import ROOT
from tests.tables.run_folders import METRICS, write_pair, write_utility


def write_entry(root, name, **metrics):
    folder = root / "entries" / name
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(METRICS | metrics))
    write_utility(folder, [0.8, 0.9, 1.0], np.linspace(0.5, 0.9, 18).reshape(6, 3))
    return folder


def test_table_and_figure(tmp_path):
    first = write_entry(tmp_path, "mine", recall_at_1=0.625, opis=0.00789, num_images=54321)
    second = write_entry(tmp_path, "other")
    write_entries([(first, "My <model>"), (second, "Other")], tmp_path / "t", tmp_path / "f")
    frame = pd.read_csv(tmp_path / "t/entries.csv")
    assert frame["name"].tolist() == ["mine", "other"]
    assert frame["title"].tolist() == ["My <model>", "Other"]
    assert frame["opis"].tolist() == [0.00789, 0.004]
    page = (tmp_path / "t/entries.html").read_text()
    assert (
        '<th scope="row" class="name">My &lt;model&gt;</th><td>62.5</td><td>7.89</td>'
        "<td>40.0</td><td>0.800 to 1.000</td><td>54,321</td><td>6</td>"
    ) in page
    assert "10%-OPIS" in page
    drawn = (tmp_path / "f/entries.svg").read_text()
    assert "OPIS 7.89" in drawn
    assert {path.suffix for path in (tmp_path / "f").iterdir()} == {".svg", ".pdf", ".png"}


@pytest.mark.parametrize(
    "title", [r"ours, $\textsc{r}$", "Ba$$in", "A & B < C > 100 %_x^y", "{seed}"]
)
def test_a_title_is_printed_as_it_is(tmp_path, title):
    write_entries([(write_entry(tmp_path, "mine"), title)], tmp_path / "t", tmp_path / "f")
    assert pd.read_csv(tmp_path / "t/entries.csv")["title"].tolist() == [title]
    for file in (tmp_path / "t/entries.html", tmp_path / "f/entries.svg"):
        assert title in html.unescape(file.read_text()), file


def test_what_cannot_be_shown_is_said(tmp_path):
    first = write_entry(tmp_path, "a")
    write_entry(tmp_path, "b", beta=2.0)
    out = (tmp_path / "t", tmp_path / "f")
    with pytest.raises(UserError, match=r"was evaluated with beta \S+ but .* evaluate both alike"):
        write_entries([(first, "A"), (tmp_path / "entries/b", "B")], *out)
    with pytest.raises(UserError, match="does not exist"):
        write_entries([(tmp_path / "none", "A")], *out)
    write_entry(tmp_path, "c", opis=None)
    with pytest.raises(UserError, match="has no number 'opis'"):
        write_entries([(tmp_path / "entries/c", "C")], *out)
    (first / "utility.parquet").unlink()
    with pytest.raises(UserError, match=r"utility\.parquet does not exist"):
        write_entries([(first, "A")], *out)
    assert not out[0].exists()


def test_the_page_shows_what_is_measured_and_names_the_rest(tmp_path):
    mine = write_entry(tmp_path, "mine", opis=0.00789)
    entries = [(mine, "My model"), (tmp_path / "entries/later", "A <later> one")]
    write_entries(entries[:1], tmp_path / "t", tmp_path / "f")
    out = tmp_path / "index.html"
    shown = Material(tmp_path / "f", ROOT / "report", entries=entries)
    write_page(write_pair(tmp_path / "runs"), "x", out, shown)
    text = out.read_text()
    assert '<th scope="row" class="name">My model</th>' in text
    assert "Not measured yet: A &lt;later&gt; one." in text
    identifiers = re.findall(r' id="([^"]*)"', text)
    assert len(identifiers) == len(set(identifiers))
    write_page(write_pair(tmp_path / "others"), "x", out, Material())
    assert "made elsewhere" not in out.read_text()


def test_from_a_file_of_embeddings_to_the_table(tmp_path):
    """The two commands, as the rules call them."""
    labels = np.repeat(np.arange(8), 2)
    rows = np.eye(8)[labels] + np.linspace(0, 0.3, 128).reshape(16, 8)
    np.savez(tmp_path / "mine.npz", embeddings=rows, labels=labels)
    folder = tmp_path / "entries/mine"
    measured = ("--out", folder / "metrics.json", "--utility", folder / "utility.parquet")
    shown = ("--tables", tmp_path / "t", "--figures", tmp_path / "f", "--entry", folder, "Mine")
    for command, *arguments in (
        ("evaluate.py", "--embeddings", tmp_path / "mine.npz", *measured),
        ("entries.py", *shown),
    ):
        line = [sys.executable, ROOT / "src" / command, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    (row,) = pd.read_csv(tmp_path / "t/entries.csv").to_dict("records")
    assert (row["title"], row["recall_at_1"], row["num_images"]) == ("Mine", 1.0, 16)
