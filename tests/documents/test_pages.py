"""The documents: what they name exists, and the numbers they quote are right."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from tcmbench import __version__, datasets
from tcmbench.miniatures import write_miniature
from tests.documents.pages import PAGES, README, anchors, blocks, region, without_blocks
from tests.paths import ROOT

TOP = r"(?:src|tests|workflow|envs|report|docs|results/reference|\.ci)"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
# The reader's to write, or main's to come.
SHOWN = {"src/tcmbench/losses/binomial_deviance.py", "src/tcmbench/templates"}


# --- size ---------------------------------------------------------------------------------------


def test_readme_is_one_screen_and_links_every_page():
    assert README.count("\n") <= 150
    linked = set(re.findall(r"\]\((docs/\w[\w-]*\.md)", README))
    assert linked == {name for name in PAGES if name.startswith("docs/")}


def test_the_picture_is_small_and_is_the_measured_one():
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).stat().st_size < 150_000


def test_embeddings_of_ones_own_have_one_place():
    said = [name for name, text in PAGES.items() if re.search(r"your (own )?embeddings", text)]
    assert said == ["docs/embeddings.md"]


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)]*))?\)", without_blocks(page))
    assert links
    for path, anchor in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {path}"
        if anchor:
            name = target.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(name), f"{page} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page):
    files = set(re.findall(rf"(?<![\w/.-]){TOP}/[\w./-]*[\w-]", PAGES[page]))
    assert {path for path in files if not (ROOT / path).exists()} <= SHOWN


def test_the_layout_is_what_lies_there():
    (tree,) = (b.code for b in blocks("CONTRIBUTING.md") if b.code.startswith("Snakefile"))
    named = [line.split("  ")[0] for line in tree.splitlines()]
    assert len(named) > 10
    for path in named:
        assert list(ROOT.glob(path)) or path == "results/", path


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGES[page], re.MULTILINE))
    assert named <= TARGETS


def test_make_quick_and_make_test_come_first():
    first = blocks("README.md")[0]
    assert (first.language, first.code) == ("", "make quick\nmake test\n")


def test_make_alone_lists_every_target():
    alone, named = (
        subprocess.run(
            # A make that calls this test would make itself heard in between.
            ["make", "--no-print-directory", *goal],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for goal in ([], ["help"])
    )
    assert alone == named
    lines = [line.split(maxsplit=1) for line in alone.splitlines()]
    assert {target for target, _ in lines} == TARGETS
    assert max(map(len, alone.splitlines())) <= 120


def test_snakemake_targets_exist():
    snakefile = (ROOT / "Snakefile").read_text()
    for target in ("all", "data", "models", "tables", "figures"):
        assert f"`{target}`" in PAGES["docs/paper-suite.md"]
        assert f"rule {target}:" in snakefile


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


# --- numbers ------------------------------------------------------------------------------------


def reference(kind: str) -> list[Path]:
    return sorted((ROOT / "results/reference").glob(f"quick-*.{kind}"))


def test_the_quick_table_is_the_measured_one():
    measured = [row for file in reference("md") for row in table_rows(file.read_text())]
    assert table_rows(region("docs/results.md", "quick table")) == measured


def table_rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_counts_of_what_tcm_changes_are_the_measured_ones():
    table = pd.concat([pd.read_csv(file) for file in reference("csv")])
    lower = int((table.opis_tcm < table.opis_base).sum())
    higher = int((table.recall_at_1_tcm > table.recall_at_1_base).sum())
    text = " ".join(region("docs/results.md", "quick table").split())
    assert (
        f"OPIS is lower in {lower} of {len(table)} comparisons and R@1 higher in {higher}" in text
    )
    sure = [
        (int((table[f"{key}_delta_high"] < 0).sum()), int((table[f"{key}_delta_low"] > 0).sum()))
        for key in ("opis", "epsilon_opis", "recall_at_1")
    ]
    assert sure == [(3, 0), (0, 2), (0, 3)], "the pages name these counts"
    for words in (
        "below 0 for OPIS in 3, above 0 in none, and holds 0 in 13",
        "above 0, which is worse, in 2 and holds 0 in 14",
        "for R@1 it is above 0 in 3 and holds 0 in 13",
    ):
        assert words in text
    assert "the change of OPIS is below 0 in 3 of the 16 and above 0 in none" in " ".join(
        README.split()
    )


def test_the_means_over_the_rows_are_the_measured_ones():
    table = pd.concat([pd.read_csv(file) for file in reference("csv")])
    text = " ".join(region("docs/results.md", "quick table").split())
    for key, words in (
        ("opis", "OPIS changes by {} % [{}, {}]"),
        ("epsilon_opis", "10%-OPIS by {} % [{}, {}]"),
        ("recall_at_1", "R@1 by {} points [{}, {}]"),
    ):
        assert words.format(*mean_over_rows(table, key)) in text


def mean_over_rows(table: pd.DataFrame, key: str) -> list[str]:
    """The mean change and its interval, in % (logarithms) or in percentage points."""
    base, tcm = table[f"{key}_base"], table[f"{key}_tcm"]
    change = 100 * (tcm - base) if key == "recall_at_1" else np.log(tcm / base)
    half = stats.t.ppf(0.975, len(change) - 1) * change.std() / len(change) ** 0.5
    values = np.array([change.mean(), change.mean() - half, change.mean() + half])
    shown = values if key == "recall_at_1" else 100 * np.expm1(values)
    return [f"{value:+.1f}".replace("-", "\N{MINUS SIGN}") for value in shown]


@pytest.mark.parametrize(("line", "name"), [(0, "quick-seeds"), (1, "splits"), (2, "tuned")])
def test_what_five_seeds_say_with_other_splits_and_other_margins(line, name):
    (file,) = (ROOT / "results/reference").glob(f"{name}*.csv")
    table = pd.read_csv(file)
    assert (len(table), set(table.n_seeds)) == (16, {5})
    cells = table_rows(region("docs/results.md", "experiments table"))[2 + line].split(" | ")[2:]
    for at, key in enumerate(("opis", "epsilon_opis", "recall_at_1")):
        below = int((table[f"{key}_delta_high"] < 0).sum())
        above = int((table[f"{key}_delta_low"] > 0).sum())
        mean, low, high = mean_over_rows(table, key)
        unit = "points" if key == "recall_at_1" else "%"
        assert cells[2 * at] == f"{below} · {above} · {16 - below - above}"
        assert cells[2 * at + 1].removesuffix(" |") == f"{mean} {unit} [{low}, {high}]"


def test_chance_is_that_of_the_miniatures(tmp_path):
    shown = re.search(
        r"an R@1 of ([\d.]+) % on .*? ([\d.]+) % .*? ([\d.]+) %.*? ([\d.]+) %",
        PAGES["docs/results.md"],
        re.DOTALL,
    )
    for name, percent in zip(("cub", "cars196", "sop", "inat2018"), shown.groups(), strict=True):
        write_miniature(name, tmp_path / name)
        dataset = datasets.load(name)
        split = dataset.layout().read(tmp_path / name, dataset.counts).split
        sizes = Counter(item.label for item in split.test)
        others = sizes.total() - 1
        chance = sum(size * (size - 1) / others for size in sizes.values()) / sizes.total()
        assert f"{100 * chance:.1f}" == percent, name


def test_the_data_page_shows_every_count_and_every_file():
    page = PAGES["docs/data.md"]
    for name in datasets.names():
        dataset = datasets.load(name)
        counts = dataset.counts
        assert (
            f"| {counts.train_images:,} / {counts.train_classes:,} "
            f"| {counts.test_images:,} / {counts.test_classes:,} |"
        ) in page
        for layout in dataset.layouts:
            assert f"| `{layout}` |" in page
        for archive in (a for one in dataset.layouts.values() for a in one.archives):
            assert f"`{archive.name}`" in page


def test_the_disk_is_what_the_archives_and_images_take():
    # An archive whose size is not published counts as its images do, the rest of its set as 0.
    sets = {name: datasets.load(name) for name in datasets.names()}
    needed = {
        name: one.unpacked_bytes
        + sum(archive.size or 0 for archive in one.layout().archives)
        + (one.unpacked_bytes if one.layout().archives[0].size is None else 0)
        for name, one in sets.items()
    }
    page = PAGES["docs/paper-suite.md"]
    shown = re.search(r"(\d+) GB of free disk, (\d+) of them for iNaturalist", page).groups()
    assert shown == (f"{sum(needed.values()) / 1e9:.0f}", f"{needed['inat2018'] / 1e9:.0f}")
