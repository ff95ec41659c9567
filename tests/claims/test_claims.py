"""Claims: the rule on hand-made intervals, counts and extremes by hand, partial and other data."""

import itertools
import json
import math
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcmbench.claims import claim as room
from tcmbench.claims.claim import Claim, Finding, judge
from tcmbench.claims.comparisons import findings
from tcmbench.claims.write import judged
from tcmbench.common.errors import UserError
from tcmbench.statistics import paired_t_interval
from tcmbench.tables.names import BACKBONES, DATASETS, LOSSES
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import write_pair

CELLS = list(itertools.product(DATASETS, BACKBONES, LOSSES))
IDS = [
    "opis-falls",
    "opis-largest-fall",
    "recall-rises",
    "recall-largest-rise",
    "recall-largest-fall",
    "no-added-cost",
    "weaker-models-together",
    "stronger-models-apart",
]


def comparisons(cells=CELLS, scale="full", opis=(-0.4, -0.6, -0.2), recall=(0.01, 0.005, 0.02)):
    """A comparisons.csv in which every row has the same changes (value, low, high)."""
    rows = []
    for dataset, backbone, loss in cells:
        row = {"dataset": dataset, "backbone": backbone, "loss": loss, "scale": scale}
        for name, factor, values in (
            ("opis_delta", 1, opis),
            ("opis_delta_percent", 100, opis),
            ("recall_at_1_delta", 1, recall),
        ):
            for end, value in zip(("", "_low", "_high"), values, strict=True):
                row[name + end] = factor * value
        rows.append(row)
    return pd.DataFrame(rows)


def speeds(cells=CELLS, base=100.0, tcm=99.5, **changes):
    """A runs.csv with the images per second of both variants, one seed."""
    rows = [
        dict(zip(("dataset", "backbone", "loss"), cell, strict=True))
        | {"variant": variant, "seed": 0, "images_per_second": speed, "gpu": "H200", "cpu": "x"}
        | {"scale": "full"}
        | changes
        for cell in cells
        for variant, speed in (("base", base), ("tcm", tcm))
    ]
    return pd.DataFrame(rows)


def entries(frame, runs=None, pareto=None):
    found = judged(frame, speeds() if runs is None else runs, pareto)
    assert [entry["id"] for entry in found] == IDS
    return {entry["id"]: entry for entry in found}


# --- the rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_least", "low", "value", "high", "verdict"),
    [
        (True, 3.6, 4.0, 5.0, room.REPRODUCED),  # the bound itself is met
        (True, 3.5, 4.0, 5.0, room.WITHIN_NOISE),
        (True, 1.0, 2.0, 3.6, room.WITHIN_NOISE),
        (True, 1.0, 2.0, 3.5, room.NOT_REPRODUCED),
        (False, 1.0, 2.0, 3.6, room.REPRODUCED),
        (False, 1.0, 2.0, 3.7, room.WITHIN_NOISE),
        (False, 3.7, 4.0, 5.0, room.NOT_REPRODUCED),
        (True, math.nan, 4.0, math.nan, room.WITHIN_NOISE),
    ],
)
def test_rule_by_hand(at_least, low, value, high, verdict):
    made = Claim("x", "x", 3.6, at_least, "points", None)
    assert judge(made, Finding(value, low, high, 16)) == verdict


@given(st.floats(-9, 9), st.floats(0, 9), st.floats(0, 9), st.floats(-9, 9), st.booleans())
def test_a_narrower_interval_never_contradicts(value, below, above, bound, at_least):
    made = Claim("x", "x", bound, at_least, "r", None)
    wide = judge(made, Finding(value, value - below, value + above, 9))
    narrow = judge(made, Finding(value, value - below / 2, value + above / 2, 9))
    assert wide in (narrow, room.WITHIN_NOISE)


# --- counts and extremes -------------------------------------------------------------------------


def test_all_rows_fall_for_sure():
    found = entries(comparisons())
    opis = found["opis-falls"]
    assert opis["verdict"] == "reproduced"
    assert opis["ours"] == {"value": 16, "unit": "comparisons", "interval": [16, 16], "n": 16}
    assert opis["paper"] == {"value": 16, "of": 16, "unit": "comparisons"}
    assert found["recall-rises"]["verdict"] == "reproduced"
    # The largest fall is 40 % [60, 20]: 77.3 is out of reach.
    assert found["opis-largest-fall"]["ours"]["interval"] == [-60, -20]
    assert found["opis-largest-fall"]["verdict"] == "not reproduced"
    # R@1 rises by 1.0 point [0.5, 2.0] everywhere.
    assert found["recall-largest-rise"]["verdict"] == "not reproduced"
    assert found["recall-largest-fall"]["verdict"] == "reproduced"


def test_one_undecided_row_tips_sixteen_but_not_fourteen():
    frame = comparisons()
    frame.loc[3, ["opis_delta_high", "recall_at_1_delta_low"]] = [0.01, -0.01]
    found = entries(frame)
    assert found["opis-falls"]["verdict"] == "within noise"
    assert found["opis-falls"]["ours"]["interval"] == [15, 16]
    assert found["opis-falls"]["ours"]["value"] == 16
    assert "open: CUB-200-2011 ViT-B/16 Recall@k" in found["opis-falls"]["why"]
    assert found["recall-rises"]["verdict"] == "reproduced"
    assert found["recall-rises"]["ours"]["interval"] == [15, 16]


def test_a_row_that_surely_rises_refutes_sixteen():
    frame = comparisons()
    frame.loc[5, ["opis_delta", "opis_delta_low", "opis_delta_high"]] = [0.1, 0.05, 0.2]
    opis = entries(frame)["opis-falls"]
    assert (opis["verdict"], opis["ours"]["value"]) == ("not reproduced", 15)
    assert opis["ours"]["interval"] == [15, 15]


def test_two_rows_that_surely_fall_leave_fourteen():
    frame = comparisons()
    frame.loc[[0, 1], "recall_at_1_delta"] = -0.004
    frame.loc[[0, 1], "recall_at_1_delta_low"] = -0.006
    frame.loc[[0, 1], "recall_at_1_delta_high"] = -0.003
    found = entries(frame)
    assert found["recall-rises"]["verdict"] == "reproduced"
    assert found["recall-rises"]["ours"]["interval"] == [14, 14]
    fall = found["recall-largest-fall"]
    assert fall["ours"]["value"] == pytest.approx(-0.4)
    assert fall["ours"]["interval"] == pytest.approx([-0.6, -0.3])
    assert fall["verdict"] == "not reproduced"  # at most 0.2 points were claimed
    assert "CUB-200-2011 ResNet-50 Smooth-AP" in fall["why"]


def test_extremes_come_from_all_rows():
    frame = comparisons()
    # The largest value stands in row 2, the largest ends in rows 4 and 6.
    frame.loc[2, "recall_at_1_delta"] = 0.036
    frame.loc[4, "recall_at_1_delta_low"] = 0.009
    frame.loc[6, "recall_at_1_delta_high"] = 0.05
    rise = entries(frame)["recall-largest-rise"]
    assert rise["ours"]["value"] == pytest.approx(3.6)
    assert rise["ours"]["interval"] == pytest.approx([0.9, 5.0])
    assert rise["verdict"] == "within noise"


def test_rows_without_an_interval_are_open():
    frame = comparisons(opis=(-0.8, math.nan, math.nan), recall=(0.05, math.nan, math.nan))
    found = entries(frame)
    assert found["opis-falls"]["ours"]["interval"] == [0, 16]
    assert found["opis-falls"]["verdict"] == "within noise"
    assert "open: 16 rows" in found["opis-falls"]["why"]
    assert found["opis-largest-fall"]["ours"]["interval"] is None
    assert found["opis-largest-fall"]["verdict"] == "within noise"
    assert "no interval for every row" in found["opis-largest-fall"]["why"]


def test_no_change_is_no_fall():
    frame = comparisons(opis=(0.0, 0.0, 0.0))
    opis = {one.identity: found for one, found in findings(frame)}["opis-falls"]
    assert (opis.value, opis.low, opis.high) == (0, 0, 16)


# --- partial, miniature and foreign rows ---------------------------------------------------------


def test_missing_rows_are_named_and_nothing_is_judged():
    frame = comparisons(CELLS[:14])
    found = entries(frame, speeds(CELLS[:14]))
    for name in IDS[:6]:
        assert found[name]["verdict"] == "not run"
        assert "missing 2 of 16 comparisons" in found[name]["why"]
        assert "iNaturalist-2018 ViT-B/16 Recall@k" in found[name]["why"]
    assert found["opis-falls"]["ours"]["value"] == 14
    assert found["opis-falls"]["ours"]["n"] == 14


def test_rows_beyond_the_paper_do_not_count():
    other = [("zoo", "resnet50", "smooth_ap"), ("cub", "resnet50", "triplet")]
    frame = pd.concat([comparisons(), comparisons(other, opis=(0.9, 0.8, 1.0))])
    assert entries(frame)["opis-falls"]["verdict"] == "reproduced"
    alone = entries(comparisons(other), speeds(other))
    assert alone["opis-falls"]["ours"] is None
    assert "missing 16 of 16" in alone["opis-falls"]["why"]


def test_miniatures_are_measured_but_not_judged():
    cells = [("cub", "test_resnet", "smooth_ap"), ("sop", "test_vit", "smooth_ap")]
    frame = comparisons(cells, "miniature")
    found = entries(frame, speeds(cells))
    assert found.keys() == set(IDS)
    assert {entry["verdict"] for entry in found.values()} == {"does not apply"}
    assert found["opis-falls"]["ours"] == {
        "value": 2,
        "unit": "comparisons",
        "interval": [2, 2],
        "n": 2,
    }
    assert found["opis-falls"]["why"].startswith("these are miniatures")


def test_images_of_ones_own_are_counted_but_not_judged():
    cells = [("shop", "resnet50", "smooth_ap"), ("garden", "resnet50", "smooth_ap")]
    found = entries(comparisons(cells, "own"), speeds(cells))
    assert {entry["verdict"] for entry in found.values()} == {"does not apply"}
    assert found["opis-falls"]["ours"]["n"] == 2
    assert found["opis-falls"]["why"].startswith("these are images of one's own")


# --- cost ----------------------------------------------------------------------------------------


def test_cost_by_hand():
    cells = CELLS
    runs = pd.concat([speeds(cells[:8], 100, 100), speeds(cells[8:], 100, 98)])
    cost = entries(comparisons(), runs)["no-added-cost"]
    logs = [0.0] * 8 + [math.log(100 / 98)] * 8
    low, high = paired_t_interval(logs)
    assert cost["ours"]["value"] == pytest.approx(math.sqrt(100 / 98))  # 1.0102
    assert cost["ours"]["interval"] == pytest.approx([math.exp(low), math.exp(high)])
    assert cost["verdict"] == "reproduced"  # up to 1.0158, below 1.02
    assert "from 1.000 to 1.020" in cost["why"]


def test_cost_that_is_real():
    cost = entries(comparisons(), speeds(base=100, tcm=80))["no-added-cost"]
    assert cost["ours"]["value"] == pytest.approx(1.25)
    assert cost["verdict"] == "not reproduced"


def test_seeds_of_a_comparison_are_one_ratio():
    runs = pd.concat([speeds(tcm=100), speeds(tcm=100 / 1.21, seed=1)])
    cost = entries(comparisons(), runs)["no-added-cost"]
    assert cost["ours"]["n"] == 16
    assert cost["ours"]["value"] == pytest.approx(1.1)  # geometric mean of 1 and 1.21


def test_pairs_on_other_hardware_are_left_out():
    runs = speeds()
    runs.loc[(runs["variant"] == "tcm") & (runs["dataset"] != "cub"), "gpu"] = "other"
    cost = entries(comparisons(), runs)["no-added-cost"]
    assert cost["ours"]["n"] == 4
    runs["gpu"] = np.where(runs["variant"] == "tcm", "one", "two")
    cost = entries(comparisons(), runs)["no-added-cost"]
    assert (cost["ours"], cost["verdict"]) == (None, "not run")
    assert "did not record" in cost["why"]
    # Machines without a GPU have an empty cell there, and are alike.
    cost = entries(comparisons(), speeds(gpu=None))["no-added-cost"]
    assert cost["ours"]["n"] == 16


# --- the Pareto suite ----------------------------------------------------------------------------


def pareto(weak_slope, strong_slope):
    """Base runs whose OPIS follows the error: one slope above an error of 0.3, another below."""
    rows = []
    for index, error in enumerate(np.linspace(0.1, 0.5, 17)):
        slope = weak_slope if error > 0.3 else strong_slope
        wiggle = 1e-4 * (-1) ** index
        opis = 0.02 + slope * (error - 0.3) + wiggle
        row = {"dataset": "cub", "backbone": "resnet50", "loss": f"loss{index}", "seed": 0}
        rows.append(
            row
            | {"variant": "base", "batch_size": 64, "recall_at_1": 1 - error, "opis": opis}
            | {"scale": "full"}
        )
        rows.append(rows[-1] | {"variant": "tcm", "opis": 0.0})
    return pd.DataFrame(rows)


def test_without_the_pareto_suite_nothing_is_said():
    found = entries(comparisons())
    for name in IDS[6:]:
        assert found[name]["verdict"] == "not run"
        assert found[name]["ours"] is None
        assert "Pareto suite" in found[name]["why"]


@pytest.mark.parametrize(
    ("slopes", "verdicts"),
    [
        ((0.05, -0.05), ("reproduced", "reproduced")),
        ((0.05, 0.15), ("reproduced", "not reproduced")),
        ((-0.15, -0.05), ("not reproduced", "reproduced")),
    ],
)
def test_either_side_of_the_break_is_judged(slopes, verdicts):
    found = entries(comparisons(), pareto=pareto(*slopes))
    assert tuple(found[name]["verdict"] for name in IDS[6:]) == verdicts
    assert "cub: break at an error of " in found[IDS[6]]["why"]


def test_few_settings_have_no_break():
    few = pareto(0.05, -0.05).head(10)  # five settings of base
    found = entries(comparisons(), pareto=few)
    assert {found[name]["verdict"] for name in IDS[6:]} == {"not run"}
    small = entries(comparisons(), pareto=pareto(0.05, -0.05).assign(scale="miniature"))
    assert {small[name]["verdict"] for name in IDS[6:]} == {"does not apply"}
    assert small[IDS[6]]["ours"]["value"] > 0.9


# --- the command ---------------------------------------------------------------------------------


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "src/claims.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


class Table(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_command_from_real_tables(tmp_path):
    folders = write_pair(tmp_path, "cub/resnet50/smooth_ap", tcm={"opis": 0.001})
    write_tables(folders, "paper", tmp_path / "tables")
    done = run("--tables", tmp_path / "tables", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "out/claims.json").read_text())
    assert [entry["id"] for entry in found] == IDS
    keys = {"id", "sentence", "source", "paper", "ours", "verdict", "why"}
    assert all(set(entry) == keys for entry in found)
    assert found[1]["ours"] == {"value": -75, "unit": "%", "interval": None, "n": 1}
    page = (tmp_path / "out/claims.html").read_text()
    table = Table(page)
    assert table.open == []
    assert [len(row) for row in table.rows] == [5] * 9
    assert table.rows[2][1:4] == ["−77.3 %", "−75.0 %", "– not run"]
    assert "http" not in page
    assert "<script" not in page
    lines = (tmp_path / "out/claims.md").read_text().splitlines()
    assert lines[3].startswith(
        "| TCM lowers OPIS by up to 77.3 %. | −77.3 % | −75.0 % | – not run |"
    )
    for text in (page, "\n".join(lines)):
        assert "Within noise: the interval reaches both sides" in text


@pytest.mark.parametrize("name", ["comparisons.csv", "runs.csv"])
def test_command_names_a_missing_table(tmp_path, name):
    write_tables(write_pair(tmp_path), "paper", tmp_path / "tables")
    (tmp_path / "tables" / name).unlink()
    done = run("--tables", tmp_path / "tables", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{name} does not exist; make it with src/aggregate.py" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_old_table_is_refused(tmp_path):
    write_tables(write_pair(tmp_path), "paper", tmp_path / "tables")
    path = tmp_path / "tables/comparisons.csv"
    pd.read_csv(path).drop(columns="opis_delta_percent_low").to_csv(path, index=False)
    from tcmbench.claims import write_claims

    with pytest.raises(UserError, match="has no column 'opis_delta_percent_low'"):
        write_claims(tmp_path / "tables", tmp_path / "out")
