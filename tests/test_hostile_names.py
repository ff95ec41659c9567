"""Names that mean something to a browser, a shell or LaTeX: printed as they are."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import figures
from tcmbench.advisor import advise
from tcmbench.advisor.page import page as advice_page
from tcmbench.advisor.text import text as advice_text
from tcmbench.claims import write_claims
from tcmbench.entries.write import write_entries
from tcmbench.page.write import Material, write_page
from tcmbench.tables.write import write_tables
from tests.metrics.references import clustered
from tests.plots.test_plots_embeddings import write_neighbours
from tests.tables.run_folders import measured_pair

SCRIPT, SHELL, LATEX = "<script>alert(1)</script>", "$(touch x)", r"\input{secret}"
HOSTILE = (SCRIPT, SHELL, LATEX, "$x^{$", "%n {0} `touch x`", "a\tb\nc", "=1+1", "\u202eabc", "'\"")


class Tags(HTMLParser):
    """The tags of a page, and what a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.seen = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.seen += data


def literal(page: str, *names: str) -> None:
    read = Tags(page)
    assert read.tags.count("script") == page.count("<script>\n")  # the page's own
    assert "alert(1)" not in page.replace("alert(1)&lt;", "")
    for name in names:
        assert name in read.seen


def drawn(svg: str) -> None:
    for element in ElementTree.fromstring(svg).iter():
        assert not element.tag.endswith(("}script", "}foreignObject"))
        assert not [name for name in element.attrib if name.startswith("on")]


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "x").exists()


def test_class_names_in_the_advice():
    embeddings, labels = clustered(0, 90, 8, len(HOSTILE), spread=0.7)
    names = dict(zip(np.unique(labels).tolist(), HOSTILE, strict=True))
    advice = advise(embeddings, labels, far=0.1, names=names)
    page, printed = advice_page(advice, f"{SCRIPT}.npz"), advice_text(advice)
    literal(page, SCRIPT)
    assert SCRIPT in Tags(page).seen
    assert "\x1b" not in printed
    json.dumps(advice.to_json(), allow_nan=False)


def test_titles_of_entries_in_table_figure_and_page(tmp_path):
    (folder, *_) = measured_pair(tmp_path / "runs")
    for number, title in enumerate(HOSTILE):
        entry = tmp_path / f"entries/{number}"
        entry.mkdir(parents=True)
        for name in ("metrics.json", "utility.parquet"):
            (entry / name).write_bytes((folder / name).read_bytes())
        named = [(entry, title)]
        write_entries(named, tmp_path / "tables", tmp_path / "figures")
        literal((tmp_path / "tables/entries.html").read_text(), " ".join(title.split(" ")))
        assert pd.read_csv(tmp_path / "tables/entries.csv")["title"][0] == title
        drawn((tmp_path / "figures/entries.svg").read_text())
        write_page([folder], "s", tmp_path / "p.html", Material(entries=named))


@pytest.mark.parametrize("name", [SCRIPT.replace("/", ""), SHELL, LATEX, "a_b%&#{}^", "$x$"])
def test_names_of_runs_in_tables_claims_page_and_figures(name, tmp_path):
    runs = measured_pair(tmp_path / "runs", f"{name}/{name}/{name}")
    tables = tmp_path / "tables"
    write_tables(runs, name, tables)
    write_claims(tables, tables)
    write_page(runs, name, tmp_path / "p.html", Material())
    for page in (tables / "comparisons.html", tables / "claims.html", tmp_path / "p.html"):
        literal(page.read_text())
    literal((tables / "comparisons.html").read_text(), name)
    latex = (tables / "comparisons.tex").read_text()
    assert r"\input" not in latex
    markdown = (tables / "comparisons.md").read_text()
    assert "<script" not in markdown.replace("\\<", "")
    assert pd.read_csv(tables / "comparisons.csv")["dataset"][0] == name
    call = ["summary", "--tables", str(tables), "--out", str(tmp_path / "figures")]
    figures.command(figures.parser().parse_args(call))
    drawn((tmp_path / "figures/summary.svg").read_text())


def test_class_names_below_images(tmp_path):
    folders = write_neighbours(tmp_path)
    for folder in folders:
        assert (folder / "embeddings.npz").is_file()
    out = tmp_path / "out"
    call = ["neighbours", "--images", str(tmp_path / "data"), "--out", str(out), *map(str, folders)]
    figures.command(figures.parser().parse_args(call))
    drawn(next(out.glob("*.svg")).read_text())
