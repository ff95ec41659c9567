"""The documents: what they name exists, and the numbers they quote are right."""

import re
from collections import Counter

import pytest
import yaml

from tcmbench import __version__, datasets
from tcmbench.miniatures import write_miniature
from tests.documents.readme import README, blocks, region
from tests.paths import ROOT

DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
TOP = r"(?:src|tests|workflow|envs|report|results/reference|\.ci)"


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_files_exist(name):
    text = DOCUMENTS[name]
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    files = re.findall(rf"(?<![\w/.-]){TOP}/[\w./-]*[\w-]", text)
    assert links
    assert len(files) > 5
    shown = {"src/tcmbench/losses/contrastive.py"}  # the reader's to write
    missing = {path for path in links + files if not (ROOT / path).exists()}
    assert missing <= shown


def test_the_layout_is_what_lies_there():
    (tree,) = [block for block in blocks("") if block.startswith("Snakefile")]
    inside = ROOT
    for line in tree.splitlines():
        entry = line[:21]
        for path in entry.split():
            if not entry.startswith(" "):
                inside = ROOT / path
            found = inside / path if entry.startswith(" ") else ROOT / path
            assert list(found.parent.glob(found.name)) or path == "results/", path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_exist(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", DOCUMENTS[name], re.MULTILINE))
    assert named
    assert {first or second for first, second in named} <= targets


def test_make_quick_and_make_test_come_first():
    assert blocks("")[0] == "make quick\nmake test\n"


def test_snakemake_targets_exist():
    snakefile = (ROOT / "Snakefile").read_text()
    for target in ("all", "data", "models", "tables", "figures"):
        assert f"`{target}`" in README
        assert f"rule {target}:" in snakefile


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


# --- numbers ------------------------------------------------------------------------------------


def test_the_quick_table_is_the_measured_one():
    files = sorted((ROOT / "results/reference").glob("quick-*.md"))
    measured = [row for file in files for row in table_rows(file.read_text())]
    assert table_rows(region("quick table")) == measured


def table_rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_chance_is_that_of_the_miniatures(tmp_path):
    shown = re.search(
        r"an R@1 of ([\d.]+) % on .*? ([\d.]+) % .*? ([\d.]+) %.*? ([\d.]+) %", README, re.DOTALL
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
    page = README.partition("\n## Data\n")[2].partition("\n## ")[0]
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
    shown = re.search(r"(\d+) GB of free disk, (\d+) of them for iNaturalist", README).groups()
    assert shown == (f"{sum(needed.values()) / 1e9:.0f}", f"{needed['inat2018'] / 1e9:.0f}")
