"""The page of all results: what stands in it, what is missing, and that it needs nothing else."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tcmbench.common.errors import UserError
from tcmbench.page import pictures, write_page
from tcmbench.page.pictures import KINDS, caption
from tcmbench.page.write import Material
from tcmbench.tables import frames
from tcmbench.tables.completeness import Whole
from tcmbench.tables.contributed import contribution, write_contribution
from tcmbench.tables.runs import read_runs
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import METRICS, measured_pair, write_pair, write_run

REPORT = ROOT / "report"
# R@1 and OPIS of base and +TCM; the fourth run has no partner.
NUMBERS = {
    "sop/resnet50/smooth_ap": ((0.8, 0.003), (0.82, 0.001)),
    "cub/resnet50/smooth_ap": ((0.5, 0.004), (0.49, 0.005)),
    "cub/resnet50/recall_at_k": ((0.6, 0.010), (0.6, 0.002)),
}


class Tree(HTMLParser):
    """Every tag with its attributes, and the text of the cells of each row of the first table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.tables = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.tables += tag == "table"
        if self.tables == 1 and tag == "tr":
            self.rows.append([])
        if self.tables == 1 and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.tables == 1 and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()

    def values(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def write_three(root, **options):
    folders = []
    for cell, (base, tcm) in NUMBERS.items():
        sides = [{"recall_at_1": recall, "opis": opis} for recall, opis in (base, tcm)]
        folders += write_pair(root, cell, base=sides[0], tcm=sides[1], **options)
    return folders


def made(tmp_path, folders, **material):
    out = tmp_path / "index.html"
    notes = write_page(folders, "some suite", out, Material(**material))
    text = out.read_text()
    return text, Tree(text), notes


def test_the_page_takes_intervals_from_the_table_of_the_suite(tmp_path, monkeypatch):
    folders = measured_pair(tmp_path)
    computed, _, _ = made(tmp_path, folders)
    write_tables(folders, "some suite", tmp_path)
    monkeypatch.setattr(frames, "intervals", None)
    taken, _, _ = made(tmp_path, folders, comparisons=tmp_path / "comparisons.csv")
    assert taken == computed
    assert "n = 1, class bootstrap" in taken


def draw(folder, *names, size=(2.0, 1.0)):
    from matplotlib.figure import Figure

    from tcmbench.plots import style

    for name in names:
        figure = Figure(figsize=size)
        figure.text(0.5, 0.5, name)
        style.save(figure, folder, name)


def test_rows_hold_the_numbers_in_the_order_of_print(tmp_path):
    _, tree, notes = made(tmp_path, write_three(tmp_path))
    rows = tree.rows[2:]
    assert [row[0] for row in rows] == ["CUB-200-2011", "CUB-200-2011", "SOP"]
    # R@1 in %, base, +TCM, change; OPIS in thousandths, change and relative.
    assert rows[0][2:9] == ["50.0", "49.0", "−1.0 ↓", "4.00", "5.00", "+1.00 ↑", "+25.0 %"]
    assert rows[1][2:9] == ["60.0", "60.0", "0.0", "10.00", "2.00", "−8.00 ↓", "−80.0 %"]
    assert rows[2][2:9] == ["80.0", "82.0", "+2.0 ↑", "3.00", "1.00", "−2.00 ↓", "−66.7 %"]
    assert notes == []


def test_values_to_sort_by_are_not_rounded(tmp_path):
    runs = write_pair(tmp_path, base={"opis": 0.00123456789}, tcm={"opis": 0.001})
    _, tree, _ = made(tmp_path, runs)
    assert "0.00123456789" in tree.values("data-value")


def test_each_column_sorts_by_its_own_values(tmp_path):
    base, tcm = {"opis": 0.25, "epsilon_opis": 0.5}, {"opis": 0.125, "epsilon_opis": 0.75}
    runs = write_pair(tmp_path, base=base | {"recall_at_1": 0.5}, tcm=tcm | {"recall_at_1": 0.75})
    _, tree, _ = made(tmp_path, runs)
    recall, opis = ["0.5", "0.75", "0.25"], ["0.25", "0.125", "-0.125", "-50.0"]
    assert tree.values("data-value")[2:] == [*recall, *opis, "0.5", "0.75", "0.25"]


def test_each_row_links_to_both_of_its_runs(tmp_path):
    text, tree, _ = made(tmp_path, write_three(tmp_path))
    names = tree.values("id")
    assert len(names) == len(set(names))
    links = [link for link in tree.values("href") if link.startswith("#run-")]
    assert len(links) == 6
    assert {link[1:] for link in tree.values("href")} <= set(names)
    first = text.split("<tbody>")[1].split("</tr>")[0]
    for variant in ("base", "tcm"):
        assert f'href="#run-cub-resnet50-smooth_ap-{variant}-seed0"' in first


def test_several_seeds_are_linked_by_number(tmp_path):
    folders = [*write_pair(tmp_path), *write_pair(tmp_path, seed=7, tcm={"opis": 0.003})]
    text, _, _ = made(tmp_path, folders)
    links = re.sub(r'<a href="#run-\S+-(\w+)-(seed\d)">', r"<\1 \2>", text.split("<tbody>")[1])
    for line in (
        "<base seed0>base 0</a> <base seed7>7</a><br>",
        "<tcm seed0>+TCM 0</a> <tcm seed7>7</a></td>",
    ):
        assert line in links


def test_a_change_whose_interval_holds_zero_is_outlined(tmp_path):
    alike = [*write_pair(tmp_path), *write_pair(tmp_path, seed=7, tcm={"opis": 0.003})]
    unlike = [*write_pair(tmp_path / "2"), *write_pair(tmp_path / "2", seed=7)]
    for folders, marked in ((alike, True), (unlike, False)):
        text, _, _ = made(tmp_path, folders)
        first = text.split("<tbody>")[1].split("</tr>")[0]
        assert ('title="better; its interval holds 0"' in first) == marked


def test_provenance_is_shown_and_escaped(tmp_path):
    folders = write_pair(tmp_path)
    record = {
        "config": {"scale": "full", "note": "<script>alert(1)</script>"},
        "git": {"commit": "c0ffee", "dirty": True},
        "hardware": {"gpu": None, "cpu": "A <b>fast</b> one"},
        "wall_time_s": 1234.56,
        "epochs": [{"total": 987.654}],
    }
    (folders[0] / "run.json").write_text(json.dumps(record))
    text, tree, _ = made(tmp_path, folders)
    assert "commit c0ffee with uncommitted changes" in text
    assert "A &lt;b&gt;fast&lt;/b&gt; one" in text
    assert "<dd>1,234.6 s</dd>" in text
    assert "987.654" not in text
    assert sum(tag == "script" for tag, _ in tree.tags) == 1


def test_a_miniature_is_said_to_be_one_before_the_table(tmp_path):
    text, _, _ = made(tmp_path, write_three(tmp_path, scale="miniature"))
    assert text.index("these numbers say nothing about") < text.index("<table>")


def test_it_needs_nothing_from_elsewhere(tmp_path):
    draw(tmp_path / "figures", "summary")
    _, tree, _ = made(
        tmp_path, write_three(tmp_path), figures=tmp_path / "figures", captions=REPORT
    )
    assert all(link.startswith("data:") for link in tree.values("src"))
    beyond = [link for link in tree.values("href") if not link.startswith("#")]
    assert beyond == ["figures/summary.svg"], "vectors, where the page was not sent alone"
    assert (tmp_path / beyond[0]).is_file()
    assert not [tag for tag, _ in tree.tags if tag in ("link", "iframe", "object")]


def test_partial_results_are_shown_and_the_missing_named(tmp_path):
    folders = [*write_three(tmp_path), write_run(tmp_path, "sop/resnet50/recall_at_k/base/seed0")]
    begun = tmp_path / "sop/resnet50/recall_at_k/tcm/seed0"
    begun.mkdir(parents=True)
    (begun / "run.json").write_text("{}")
    text, tree, notes = made(tmp_path, [*folders, begun, tmp_path / "cub/a/b/base/seed0"])
    assert "<b>7 of 9 runs are done</b>" in text
    assert "<li>sop/resnet50/recall_at_k/tcm/seed0</li><li>cub/a/b/base/seed0</li>" in text
    assert len(tree.rows[2:]) == 3
    # A run alone is in no row, but where it comes from is told.
    assert "run-sop-resnet50-recall_at_k-base-seed0" in tree.values("id")
    assert len(notes) == 1
    assert "its partner is missing" in notes[0]


@pytest.mark.parametrize("done", [0, 1])
def test_before_the_first_comparison(tmp_path, done):
    folders = write_pair(tmp_path)
    for folder in folders[done:]:
        shutil.rmtree(folder)
    text, tree, _ = made(tmp_path, folders)
    assert f"<b>{done} of 2 runs are done</b>" in text
    assert "No comparison is complete yet" in text
    assert tree.values("class").count("run") == done


def test_all_done_is_said(tmp_path):
    text, _, _ = made(tmp_path, write_three(tmp_path))
    assert "All 6 runs are done." in text
    assert "missing" not in text.split("<h2")[0].split("<body>")[1]


def test_claims_stand_between_table_and_figures(tmp_path):
    text, tree, _ = made(tmp_path, write_three(tmp_path))
    order = [text.index(f'<h2 id="{name}"') for name in ("table", "claims", "figures", "runs")]
    assert order == sorted(order)
    assert any(name.startswith("claim-") for name in tree.values("id"))


@pytest.mark.parametrize("suite", ["paper", "pareto_small"])
def test_the_pareto_suite_judges_the_claims_about_its_settings(tmp_path, suite):
    out = tmp_path / "index.html"
    write_page(write_three(tmp_path), suite, out, Material())
    assert ("needs the Pareto suite" in out.read_text()) == (suite == "paper")


def test_figures_come_in_order_small_ones_as_vectors(tmp_path):
    figures = tmp_path / "figures"
    utility = [f"utility_{name}{look}" for name in ("cub", "sop") for look in ("", "_base", "_tcm")]
    draw(figures, *utility, "training_cub", "summary", "neighbours_cub_resnet50_smooth_ap")
    large = figures / "training_cub.svg"
    large.write_text(large.read_text() + "<!--" + "x" * 60_000 + "-->")
    text, tree, _ = made(tmp_path, write_three(tmp_path), figures=figures, captions=REPORT)
    shown = [attributes["id"] for tag, attributes in tree.tags if tag == "figure"]
    assert shown == [
        "summary",
        "utility_cub",
        "utility_sop",
        "neighbours_cub_resnet50_smooth_ap",
        "training_cub",
    ]
    images = [attributes for tag, attributes in tree.tags if tag == "img"]
    kinds = [image["src"].split(";")[0] for image in images]
    assert kinds == ["data:image/svg+xml"] * 8 + ["data:image/webp"]
    assert b"<svg" in b64decode(images[0]["src"].split(",")[1])
    # 2 by 1 inches, at 96 pixels each.
    assert {(image["width"], image["height"]) for image in images} == {("192", "96")}
    assert all(image["alt"] and image["loading"] == "lazy" for image in images)
    assert text.count("<fieldset") == 1, "one switch for all datasets"


def test_pixels_are_those_of_the_print_and_the_smaller_copy(tmp_path):
    """Lines stay as they are; a photograph, which WebP stores smaller with loss, stays close."""
    random = np.random.default_rng(0)
    lines = np.full((60, 90, 3), 255, np.uint8)
    lines[::7] = (0, 114, 178)
    # Smooth in large, with grain.
    waves = np.add.outer(np.sin(np.arange(300) / 40), np.cos(np.arange(400) / 30))
    photograph = 128 + 40 * waves[..., None] + random.normal(0, 4, (300, 400, 3))
    for pixels, exact in ((lines, True), (photograph.astype(np.uint8), False)):
        image, stored = Image.fromarray(pixels), tmp_path / "stored.png"
        image.save(stored)
        content = pictures._webp(image, stored)
        found = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
        error = np.abs(found - pixels)
        assert (error.max() == 0) == exact
        assert error.mean() < 6
        lossless = io.BytesIO()
        image.save(lossless, "WEBP", lossless=True)
        assert len(content) <= len(lossless.getvalue())


def test_a_figure_without_its_pixels_is_refused(tmp_path):
    draw(tmp_path / "figures", "summary")
    (tmp_path / "figures/summary.png").unlink()
    with pytest.raises(UserError, match=r"summary\.png does not exist; draw it again"):
        made(tmp_path, write_three(tmp_path), figures=tmp_path / "figures", captions=REPORT)
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_caption_is_plain_words(kind):
    name = f"{kind}cub_x_y" if kind.endswith("_") else kind
    text = caption(name, REPORT, "some suite", "miniature")
    assert not re.search(r"[{}*`]|  ", text)
    assert "snakemake" not in text


def test_captions_name_suite_and_dataset(tmp_path):
    assert "suite some suite" in caption("plane", REPORT, "some suite", "full")
    assert "CUB-200-2011 (miniature)" in caption("deployer_cub", REPORT, "x", "miniature")
    with pytest.raises(UserError, match="write the caption of summary"):
        caption("summary", tmp_path, "x", "full")
    (tmp_path / "summary.rst").write_text("{{ snakemake.wildcards.seed }}")
    with pytest.raises(UserError, match="may name suite and dataset"):
        caption("summary", tmp_path, "x", "full")


def test_a_dataset_may_have_underscores():
    names = ("my", "my_shop")
    assert "my_shop" in caption("deployer_my_shop", REPORT, "x", "own", names)
    assert "my_shop" not in caption("deployer_my", REPORT, "x", "own", names)


def run_page(folder, *arguments):
    command = [sys.executable, str(ROOT / "src/page.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_knows_the_runs_of_a_suite(tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    write_pair(tmp_path / "results/runs", "cub/test_resnet/smooth_ap", scale="miniature")
    done = run_page(tmp_path, "--suite", "quick")
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "results/index.html").read_text()
    assert "<b>2 of 32 runs are done</b>" in text
    assert text.count("<li>cub/") == 6
    wrong = run_page(tmp_path, "--suite", "qick")
    assert wrong.returncode == 2
    assert wrong.stderr == "error: config.yaml has no suite 'qick'; did you mean 'quick'?\n"
    (tmp_path / "config.yaml").unlink()
    assert "name the run folders instead" in run_page(tmp_path, "--suite", "quick").stderr


def test_the_command_takes_folders_and_names_lone_runs(tmp_path):
    folders = [*write_pair(tmp_path), write_run(tmp_path, "sop/a/b/base/seed0")]
    done = run_page(tmp_path, "--suite", "x", "--out", "p.html", *folders)
    assert done.returncode == 0
    assert done.stderr.startswith("note: ")
    assert "sop/a/b/base/seed0 is left out" in done.stderr
    assert "2 of" not in (tmp_path / "p.html").read_text().split("<h2")[0]


def test_help_is_fast():
    before = os.times()
    assert run_page(ROOT, "--help").returncode == 0
    assert os.times().children_user - before.children_user < 3


def test_a_part_of_a_suite_is_called_one(tmp_path):
    text, _, _ = made(tmp_path, write_three(tmp_path), whole=Whole(16, 1))
    assert text.count("Only a part of the suite: 3 of 16 comparisons.") == 2
    assert "runs are done" not in text
    text, _, _ = made(tmp_path, sorted(tmp_path.glob("*/*/*/*/seed0")), whole=Whole(3, 1))
    assert "part of the suite" not in text
    assert "All 6 runs are done" in text


def test_further_evaluations_have_tables_of_their_own(tmp_path):
    folders = write_pair(tmp_path, tcm={"opis": 0.001})
    for folder, opis in zip(folders, (0.016, 0.002), strict=True):
        (folder / "strict").mkdir()
        strict = METRICS | {"opis": opis, "far_range": [0.001, 0.01]}
        (folder / "strict/metrics.json").write_text(json.dumps(strict))
    text, tree, _ = made(tmp_path, folders, evaluations=["strict", "not_measured"])
    assert tree.tables == 3  # two of comparisons, one of claims
    before, after = text.split("<h3>Evaluation strict</h3>")
    assert "−75.0 %" in before
    assert "−87.5 %" in after
    assert "false accept rate is 0.001 to 0.01" in after
    assert "not_measured" not in text


def test_verified_results_of_others_stand_below_ones_own(tmp_path):
    folders = measured_pair(tmp_path / "runs")
    run, folder = read_runs(folders), tmp_path / "contributed"
    theirs = contribution(run, "Jane <Doe>", "0" * 64)
    theirs.frame["opis_base"] = 0.1234
    write_contribution(theirs, folder)
    write_page(folders, "paper", tmp_path / "index.html", Material(contributed=folder))
    text = (tmp_path / "index.html").read_text()
    section = text[text.index('id="contributed"') : text.index('id="runs"')]
    assert section.index("measured here") < section.index("Jane &lt;Doe&gt;, not recorded")
    assert "<td>123</td>" in section
    write_page(folders, "paper", tmp_path / "index.html", Material(contributed=tmp_path / "none"))
    assert 'id="contributed"' not in (tmp_path / "index.html").read_text()
