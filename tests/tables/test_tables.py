"""Tables: hand-worked numbers, signs and verdicts, odd names, and what cannot be compared."""

import json
import math
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tcmbench.common.errors import UserError
from tcmbench.statistics import paired_t_interval
from tcmbench.tables.cells import Metric, change, printed_lines, printed_metrics, signed
from tcmbench.tables.frames import comparisons_frame, runs_frame
from tcmbench.tables.pairing import pair
from tcmbench.tables.runs import read_runs
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import CUB, write_pair, write_run

RECALL = Metric("recall_at_1", "R@1", "%", 100, 1, lower_is_better=False)
OPIS = Metric("opis", "OPIS", "×10⁻³", 1e3, 2, lower_is_better=True)


def table(folders, suite="paper"):
    comparisons, _ = pair(read_runs(folders))
    return comparisons_frame(comparisons, suite)


# --- the interval -------------------------------------------------------------------------------


def test_interval_by_hand():
    # Differences 1, 2, 3: mean 2, s = 1, n = 3; t(0.975, 2) = 4.302653 from a printed table;
    # half width 4.302653 / sqrt(3) = 2.484138.
    low, high = paired_t_interval([1, 2, 3])
    assert low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert high == pytest.approx(2 + 2.484138, abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=6),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_interval_is_that_of_the_paired_t_test(pairs, level):
    base, tcm = np.array(pairs).T
    low, high = paired_t_interval(list(tcm - base), level)
    if np.ptp(tcm - base) < 1e-6:  # scipy divides by the spread
        assert high - low < 1e-3
        return
    wanted = stats.ttest_rel(tcm, base).confidence_interval(level)
    assert (low, high) == pytest.approx((wanted.low, wanted.high), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("differences", [[], [1.0]])
def test_interval_needs_two_differences(differences):
    with pytest.raises(ValueError, match=f"at least two differences, got {len(differences)}"):
        paired_t_interval(differences)


# --- comparisons.csv and runs.csv ---------------------------------------------------------------


def test_one_seed_by_hand(tmp_path):
    folders = write_pair(
        tmp_path,
        base={"recall_at_1": 0.50, "opis": 4e-3, "epsilon_opis": 0.04},
        tcm={"recall_at_1": 0.53, "opis": 1e-3, "epsilon_opis": 0.05},
    )
    write_tables(folders, "paper", tmp_path / "out")
    row = pd.read_csv(tmp_path / "out/comparisons.csv").iloc[0]
    assert list(row[["dataset", "backbone", "loss"]]) == CUB.split("/")
    assert (row["n_seeds"], row["suite"], row["scale"]) == (1, "paper", "full")
    assert row["recall_at_1_delta"] == pytest.approx(0.03)  # 0.53 - 0.50
    assert row["opis_base"] == 4e-3
    assert row["opis_tcm"] == 1e-3
    assert row["opis_delta"] == pytest.approx(-3e-3)
    assert row["opis_delta_percent"] == pytest.approx(-75)  # -3 / 4
    assert row["epsilon_opis_delta"] == pytest.approx(0.01)
    bounds = [f"{m}_delta_{end}" for m in ("recall_at_1", "opis") for end in ("low", "high")]
    assert row[bounds].isna().all()


def test_seeds_are_averaged_and_paired(tmp_path):
    base, tcm = [0.50, 0.40, 0.45], [0.52, 0.45, 0.46]
    folders = []
    for seed in range(3):
        folders += write_pair(
            tmp_path,
            seed=seed,
            base={"recall_at_1": base[seed]},
            tcm={"recall_at_1": tcm[seed]},
        )
    # A seed with one variant is in no mean.
    alone = write_run(tmp_path, f"{CUB}/base/seed7", recall_at_1=0.99)
    comparisons, notes = pair(read_runs([*reversed(folders), alone]))
    row = comparisons_frame(comparisons, "paper").iloc[0]
    wanted = stats.ttest_rel(tcm, base).confidence_interval(0.95)
    assert row["n_seeds"] == 3
    assert row["recall_at_1_base"] == pytest.approx(0.45)  # 1.35 / 3
    assert row["recall_at_1_tcm"] == pytest.approx(1.43 / 3)
    assert row["recall_at_1_delta"] == pytest.approx(0.08 / 3)  # 0.02 + 0.05 + 0.01
    assert row["recall_at_1_delta_low"] == pytest.approx(wanted.low)
    assert row["recall_at_1_delta_high"] == pytest.approx(wanted.high)
    assert len(notes) == 1
    assert str(alone) in notes[0]
    assert "variant 'tcm'" in notes[0]


def test_csv_files_lose_nothing(tmp_path):
    awkward = {"opis": 1 / 3 * 1e-3, "recall_at_1": 0.1 + 0.2}
    folders = write_pair(tmp_path, base=awkward) + write_pair(tmp_path, seed=1, tcm=awkward)
    write_tables(folders, "paper", tmp_path / "out")
    runs = read_runs(folders)
    for name, frame in (("runs", runs_frame(runs, "paper")), ("comparisons", table(folders))):
        read = pd.read_csv(tmp_path / f"out/{name}.csv", dtype=str)
        assert list(read) == list(frame)
        for column in frame:
            for text, value in zip(read[column], frame[column], strict=True):
                kind = type(value)
                assert (value is None or value != value) if pd.isna(text) else kind(text) == value


def test_runs_table_takes_what_a_run_recorded(tmp_path):
    bare, full = write_pair(tmp_path)
    (full / "run.json").write_text(
        json.dumps(
            {
                "config": {"scale": "full"},
                "git": {"commit": "abc", "dirty": True},
                "hardware": {"cpu": "Zen 4", "gpu": None},
                "wall_time_s": 12.5,
                "num_parameters": 7,
            }
        )
    )
    write_tables([bare, full], "paper", tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out/runs.csv").set_index("variant")
    assert rows.loc["tcm", ["git_commit", "cpu", "wall_time_s", "num_parameters"]].to_list() == [
        "abc",
        "Zen 4",
        12.5,
        7,
    ]
    assert str(rows.loc["tcm", "git_dirty"]) == "True"
    absent = ["git_commit", "git_dirty", "gpu", "cpu", "wall_time_s", "peak_memory_mb"]
    assert rows.loc["base", absent].isna().all()
    assert rows.loc["base", ["num_images", "num_excluded_classes"]].to_list() == [60, 1]


def test_order_of_arguments_changes_no_byte(tmp_path):
    cells = ["zoo/resnet50/smooth_ap", "sop/vit_b16/smooth_ap", "sop/resnet50/zz", CUB]
    folders = [folder for cell in cells for folder in write_pair(tmp_path, cell)]
    write_tables(folders, "paper", tmp_path / "one")
    write_tables(folders[::-1], "paper", tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    # In the order of the paper, not of the alphabet; strangers last.
    frame = pd.read_csv(tmp_path / "one/comparisons.csv")
    assert frame["dataset"].to_list() == ["cub", "sop", "sop", "zoo"]
    assert frame["backbone"].to_list()[1:3] == ["resnet50", "vit_b16"]


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "delta", "text", "verdict"),
    [
        (RECALL, 0.031, "+3.1 ↑", "better"),
        (RECALL, -0.002, "−0.2 ↓", "worse"),
        (RECALL, 0.0004, "0.0", "equal"),  # 0.04 points print as 0.0
        (RECALL, -0.0004, "0.0", "equal"),
        (OPIS, -0.00042, "−0.42 ↓", "better"),
        (OPIS, 0.00042, "+0.42 ↑", "worse"),
        (OPIS, 0.0, "0.00", "equal"),
    ],
)
def test_change(metric, delta, text, verdict):
    cell = change(metric, delta)
    assert (cell.text, cell.verdict, cell.interval) == (text, verdict, "")


def test_interval_is_in_the_units_of_the_column():
    assert change(OPIS, -0.001, -0.0025, 0.0005).interval == "[−2.50, +0.50]"


@pytest.mark.parametrize(
    ("low", "high", "unsure"),
    [(-2e-3, 1e-3, True), (-2e-3, 0.0, True), (-2e-3, -1e-9, False), (math.nan, math.nan, False)],
)
def test_a_change_is_unsure_where_its_interval_holds_zero(low, high, unsure):
    assert change(OPIS, -0.001, low, high).unsure == unsure


@given(st.floats(-1e3, 1e3), st.integers(0, 4))
def test_signed_is_the_rounded_number(value, decimals):
    text = signed(value, decimals)
    assert float(text.replace("−", "-")) == pytest.approx(round(value, decimals), abs=1e-12)
    assert (text[0] in "+−") == (round(value, decimals) != 0)


@pytest.mark.parametrize(
    ("opis", "printed"),
    [(1.2345e-3, "1.23"), (12.345e-3, "12.3"), (0.12345e-3, "0.123"), (0.25, "250")],
)
def test_opis_has_three_significant_digits(tmp_path, opis, printed):
    base, tcm = {"opis": opis, "epsilon": 0.05}, {"epsilon": 0.05}
    frame = table(write_pair(tmp_path, base=base, tcm=tcm))
    metrics = printed_metrics(frame)
    (line,) = printed_lines(frame, metrics)
    assert line.cells[1].base == printed
    assert (line.dataset, line.backbone, line.loss) == ("CUB-200-2011", "ResNet-50", "Smooth-AP")
    assert [metric.heading for metric in metrics] == [
        "R@1 (%) ↑",
        "OPIS (×10⁻³) ↓",
        "5%-OPIS (×10⁻³) ↓",
    ]


def test_no_base_opis_has_no_relative_change(tmp_path):
    frame = table(write_pair(tmp_path, base={"opis": 0.0, "epsilon_opis": 0}))
    (line,) = printed_lines(frame, printed_metrics(frame))
    assert line.cells[1].extras == ("",)
    assert line.cells[1].change.verdict == "worse"


# --- pages --------------------------------------------------------------------------------------


class Rows(HTMLParser):
    """The cells of each table row: their text, their width, and all classes in them."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append({"classes": [], "text": "", "width": 1})
            self.rows[-1][-1]["width"] = int(attributes.get("colspan", 1))
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1]["classes"].append(attributes.get("class"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1]["text"] += data


def page_of(tmp_path, folders, suffix="html"):
    write_tables(folders, "demo", tmp_path / "out")
    return (tmp_path / f"out/comparisons.{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("float32", None),
        ("tf32_backward", None),
        ("bfloat16", "bfloat16 moves similarities by up to 0.024, where"),
        ("float16", "float16 moves similarities by up to 0.0025, where"),
    ],
)
def test_a_precision_that_is_not_the_official_one_is_named(tmp_path, precision, said):
    folders = write_pair(tmp_path)
    for folder in folders:
        record = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(record | {"precision": precision}))
    page = page_of(tmp_path, folders, "md")
    named = {"tf32_backward": "float32 with gradients in TF32"}.get(precision, precision)
    assert f"Precision of training: {named}; test images are embedded in float32" in page
    assert ("Deviation: " in page) == (said is not None)
    assert said is None or said in page


def test_page_marks_better_worse_and_equal(tmp_path):
    base = {"recall_at_1": 0.5, "opis": 4e-3, "epsilon_opis": 0.04}
    worse = {"recall_at_1": 0.4, "opis": 5e-3, "epsilon_opis": 0.05}
    better = {"recall_at_1": 0.6, "opis": 3e-3, "epsilon_opis": 0.03}
    folders = [
        *write_pair(tmp_path, CUB, base=base, tcm=worse),
        *write_pair(tmp_path, "sop/vit_b16/recall_at_k", base=base, tcm=better),
        *write_pair(tmp_path, "inat2018/vit_b16/recall_at_k", base=base, tcm=base),
    ]
    changes = [
        [(cell["text"], cell["classes"][-1]) for cell in row if len(cell["classes"]) > 1][1:]
        for row in Rows(page_of(tmp_path, folders)).rows[2:]
        if len(row) > 1
    ]
    assert changes == [
        [("−10.0 ↓", "worse"), ("+1.00 ↑", "worse"), ("+10.0 ↑", "worse")],
        [("+10.0 ↑", "better"), ("−1.00 ↓", "better"), ("−10.0 ↓", "better")],
        [("0.0", "equal"), ("0.00", "equal"), ("0.0", "equal")],
    ]


def test_page_is_a_regular_table_on_its_own(tmp_path):
    page = page_of(tmp_path, write_pair(tmp_path) + write_pair(tmp_path, "sop/vit_b16/smooth_ap"))
    parsed = Rows(page)
    assert parsed.open == []
    widths = [sum(cell["width"] for cell in row) for row in parsed.rows]
    # Names, then 3 + 4 + 3 numbers; the first heading spans two rows.
    assert widths == [11, 10, 11, 11, 11, 11]
    assert "http" not in page
    assert "src=" not in page
    assert "<script" not in page
    assert 'name="viewport"' in page


def test_latex_rows_fill_their_columns(tmp_path):
    text = page_of(tmp_path, write_pair(tmp_path), "tex")
    columns = text.split(r"\begin{tabular}{@{}")[1].split("@{}}")[0]
    assert columns == "ll" + "r" * 10
    row = next(line for line in text.splitlines() if line.startswith("ResNet-50"))
    assert row.count("&") == 11
    head = next(line for line in text.splitlines() if r"\multicolumn{4}{c}{OPIS" in line)
    assert head.count("&") == 4
    assert r"\cmidrule(lr){3-5}\cmidrule(lr){6-9}\cmidrule(lr){10-12}" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert text.count(rule) == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert text.isascii()


def test_markdown_rows_fill_their_columns(tmp_path):
    text = page_of(tmp_path, write_pair(tmp_path), "md")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace(r"\|", "").count("|") for row in rows} == {15}
    assert rows[2].startswith("| CUB-200-2011 | ResNet-50 | Smooth-AP | 50.0 | 50.0 | 0.0 | 4.00 |")


def test_odd_names_are_escaped(tmp_path):
    folders = write_pair(tmp_path, "<i>&/net|_$/a\\b{*")
    assert "&lt;i&gt;&amp;" in page_of(tmp_path, folders)
    assert "<i>" not in page_of(tmp_path, folders)
    assert r"| \<i\>& | net\|\_$ | a\\b{\* |" in page_of(tmp_path, folders, "md")
    text = page_of(tmp_path, folders, "tex")
    assert r"\textit{\textless{}i\textgreater{}\&}" in text
    assert r"net\textbar{}\_\$ & a\textbackslash{}b\{{*} &" in text


@pytest.mark.parametrize("suffix", ["html", "md", "tex"])
def test_notes_say_what_was_measured(tmp_path, suffix):
    folders = write_pair(tmp_path, scale="miniature") + write_pair(
        tmp_path, seed=4, scale="miniature"
    )
    text = page_of(tmp_path, folders, suffix).replace(r"\%", "%")
    assert "CUB-200-2011 (miniature)" in text
    assert "say nothing about the paper" in text
    assert "Suite demo, scale miniature; comparisons: 1; seeds: 0, 4." in text
    assert "false accept rate is 0.01 to 0.1" in text
    assert "K = 101 thresholds" in text
    assert "the weights after the last epoch" in text
    assert "95 % paired t-interval" in text


@pytest.mark.parametrize(("weights", "said"), [(None, True), ("w.safetensors", False)])
def test_notes_name_what_was_not_pretrained(tmp_path, weights, said):
    folders = write_pair(tmp_path) + write_pair(tmp_path, "cub/vit_b16/smooth_ap")
    for folder in folders[2:]:
        record = {"config": {"scale": "full", "weights": weights}}
        (folder / "run.json").write_text(json.dumps(record))
    sentence = "Start weights: ViT-B/16 began with random ones, not pretrained."
    assert (sentence in page_of(tmp_path, folders)) is said
    assert ("Start weights" in page_of(tmp_path, folders)) is said


def test_notes_say_how_far_the_fields_recall_is(tmp_path):
    how = {"index": "Flat", "device": "cpu", "package": "faiss-cpu", "version": "1.15.1"}
    silent = page_of(tmp_path / "none", write_pair(tmp_path / "none"))
    assert "flat index" not in silent
    base, tcm = (
        {"recall_at_1": 0.5, "recall_at_1_faiss": value, "provenance": {"faiss": how}}
        for value in (0.5, 0.49975)
    )
    both = page_of(tmp_path / "both", write_pair(tmp_path / "both", base=base, tcm=tcm))
    # 0.5 - 0.49975 is 0.025 points.
    sentence = "(faiss-cpu 1.15.1 on cpu), it differs by at most 0.025 percentage points"
    assert f"{sentence}." in both
    without = {"recall_at_1_faiss": None, "provenance": {"faiss": None}}
    one = page_of(tmp_path / "one", write_pair(tmp_path / "one", base=without, tcm=tcm))
    assert f"{sentence} in 1 of 2 runs." in one


def test_full_scale_is_no_miniature(tmp_path):
    page = page_of(tmp_path, write_pair(tmp_path, base={"frr_range": None}))
    assert "miniature" not in page
    assert "t-interval" not in page


def test_notes_name_the_false_reject_range(tmp_path):
    frr = {"far_range": None, "frr_range": [0.05, 0.2]}
    page = page_of(tmp_path, write_pair(tmp_path, base=frr, tcm=frr))
    assert "false reject rate is 0.05 to 0.2" in page


# --- what cannot be compared --------------------------------------------------------------------


def test_missing_variant(tmp_path):
    folder = write_run(tmp_path, f"{CUB}/base/seed0")
    with pytest.raises(UserError, match=r"no comparison can be made.*add the missing variant"):
        write_tables([folder], "paper", tmp_path / "out")
    other_seed = write_run(tmp_path, f"{CUB}/tcm/seed1")
    with pytest.raises(UserError, match="no comparison can be made"):
        write_tables([folder, other_seed], "paper", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="no run folder was given"):
        write_tables([], "paper", tmp_path)


def test_same_run_twice(tmp_path):
    folder = write_run(tmp_path, f"{CUB}/base/seed0")
    with pytest.raises(UserError, match="are the same run"):
        read_runs([folder, folder])


@pytest.mark.parametrize("name", [f"{CUB}/both/seed0", f"{CUB}/base/seed", f"{CUB}/base"])
def test_not_a_run_folder(tmp_path, name):
    with pytest.raises(UserError, match="is not a run folder; its path must end in"):
        read_runs([write_run(tmp_path, name)])


@pytest.mark.parametrize("value", [None, "0.5"])
def test_metric_that_is_no_number(tmp_path, value):
    with pytest.raises(UserError, match="has no number 'opis'; evaluate it again"):
        read_runs([write_run(tmp_path, f"{CUB}/base/seed0", opis=value)])


@pytest.mark.parametrize(
    "setting", [{"far_range": [0.01, 0.2]}, {"num_thresholds": 11}, {"beta": 2}, {"epsilon": 0.2}]
)
def test_runs_measured_otherwise_do_not_mix(tmp_path, setting):
    with pytest.raises(UserError, match=rf"evaluated with {next(iter(setting))} .*alike"):
        read_runs(write_pair(tmp_path, tcm=setting))


def test_scales_do_not_mix(tmp_path):
    folders = write_pair(tmp_path) + write_pair(tmp_path, "sop/b/l", scale="miniature")
    with pytest.raises(UserError, match=r"of scale 'miniature' but .* of 'full'"):
        read_runs(folders)


# --- the command --------------------------------------------------------------------------------


def aggregate(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "src/aggregate.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_writes_all_and_names_who_is_left_out(tmp_path):
    folders = write_pair(tmp_path)
    alone = write_run(tmp_path, "sop/resnet50/smooth_ap/tcm/seed0")
    done = aggregate("--suite", "paper", "--out", tmp_path / "out", *folders, alone)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"note: {alone} is left out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "runs.csv",
        "comparisons.csv",
        "comparisons.md",
        "comparisons.tex",
        "comparisons.html",
    }
    assert len(pd.read_csv(tmp_path / "out/runs.csv")) == 3
    assert len(pd.read_csv(tmp_path / "out/comparisons.csv")) == 1


def test_command_says_in_one_line_what_is_wrong(tmp_path):
    done = aggregate("--suite", "paper", "--out", tmp_path / "out", tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "is not a run folder" in done.stderr


CACHE = {"short_side": 256, "quality": 95}


def test_stored_sizes_do_not_mix(tmp_path):
    folders = write_pair(tmp_path) + write_pair(tmp_path, "sop/b/l", image_cache=CACHE)
    with pytest.raises(UserError, match=r"sop.* with image_cache \{'short_side': 256"):
        read_runs(folders)


def test_a_stored_size_is_said_below_the_table(tmp_path):
    sentence = "Images were stored with a short side of at most 256 pixels (JPEG quality 95)"
    assert sentence in page_of(tmp_path / "a", write_pair(tmp_path / "a", image_cache=CACHE))
    assert "short side" not in page_of(tmp_path / "b", write_pair(tmp_path / "b"))


BAD = {"chair_final/1_0.JPG": "image file is truncated", "chair_final/1_1.JPG": "no image"}


def test_images_that_were_left_out_are_said_below_the_table(tmp_path):
    folders = write_pair(tmp_path / "a", "sop/b/l", unreadable=BAD) + write_pair(tmp_path / "a")
    page = page_of(tmp_path / "a", folders)
    assert (
        "SOP: 2 of the published images cannot be decoded and were left out: "
        "chair_final/1_0.JPG, chair_final/1_1.JPG."
    ) in page
    assert "CUB-200-2011: 0" not in page
    assert "cannot be decoded" not in page_of(tmp_path / "b", write_pair(tmp_path / "b"))


def test_runs_on_other_images_of_a_dataset_do_not_mix(tmp_path):
    folders = write_pair(tmp_path) + write_pair(tmp_path, seed=1, unreadable=BAD)
    with pytest.raises(UserError, match=r"cub.* without 2 images .* without 0; train both on the"):
        read_runs(folders)
