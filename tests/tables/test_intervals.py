"""Which interval a row of the table has, from which files, and how it is printed."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tcmbench.common.errors import UserError
from tcmbench.statistics import opis_intervals, recall_interval
from tcmbench.tables.earlier import earlier_intervals
from tcmbench.tables.frames import comparisons_frame
from tcmbench.tables.pairing import pair
from tcmbench.tables.runs import read_runs
from tcmbench.tables.write import write_tables
from tests.tables.run_folders import (
    GRID,
    IMAGES,
    measured_pair,
    write_classes,
    write_pair,
    write_utility,
)

BOUNDS = [
    f"{name}_{end}"
    for name in ("recall_at_1_delta", "opis_delta", "opis_delta_percent", "epsilon_opis_delta")
    for end in ("low", "high")
]


def read(folder):
    curves = pd.read_parquet(folder / "utility.parquet").sort_values(["class", "threshold"])
    classes = pd.read_parquet(folder / "classes.parquet").sort_values("class")
    return curves["utility"].to_numpy().reshape(12, 7), classes["recall_at_1"].to_numpy()


def row_of(folders):
    comparisons, _ = pair(read_runs(folders))
    return comparisons_frame(comparisons, "paper").iloc[0]


def test_one_seed_is_bounded_over_classes(tmp_path):
    folders = measured_pair(tmp_path)
    row = row_of(folders)
    (base, before), (tcm, after) = map(read, folders)
    wanted = opis_intervals(base, tcm, epsilon=0.1)
    assert row["interval"] == "class bootstrap"
    for name, ends in wanted.items():
        assert (row[f"{name}_low"], row[f"{name}_high"]) == ends
    ends = recall_interval(IMAGES.astype(float), before, after)
    assert (row["recall_at_1_delta_low"], row["recall_at_1_delta_high"]) == ends
    assert row[BOUNDS].notna().all()


def test_without_classes_only_opis_is_bounded(tmp_path):
    folders = measured_pair(tmp_path)
    (folders[1] / "classes.parquet").unlink()
    row = row_of(folders)
    assert row["interval"] == "class bootstrap"
    assert row[BOUNDS[:2]].isna().all()
    assert row[BOUNDS[2:]].notna().all()


def test_old_runs_have_no_interval(tmp_path):
    row = row_of(write_pair(tmp_path))
    assert row["interval"] == "no interval"
    assert row[BOUNDS].isna().all()


def test_seeds_go_before_classes(tmp_path):
    folders = []
    base, tcm = [0.004, 0.006, 0.005], [0.002, 0.003, 0.001]
    for seed in range(3):
        pair_of = {"base": {"opis": base[seed]}, "tcm": {"opis": tcm[seed]}}
        folders += write_pair(tmp_path, seed=seed, **pair_of)
    row = row_of(folders)
    wanted = stats.ttest_rel(tcm, base).confidence_interval(0.95)
    assert row["interval"] == "paired t"
    assert row["opis_delta_low"] == pytest.approx(wanted.low)
    # Ratio -9/15 = -60 %; residuals (d + 0.6 b) / 0.005 are 0.08, 0.12, -0.2: mean 0,
    # s = 0.174356, t(0.975, 2) = 4.302653, half width 0.433126.
    assert row["opis_delta_percent"] == pytest.approx(-60)
    assert row["opis_delta_percent_low"] == pytest.approx(-60 - 43.3126, abs=1e-3)
    assert row["opis_delta_percent_high"] == pytest.approx(-60 + 43.3126, abs=1e-3)


def test_runs_on_other_classes_are_refused(tmp_path):
    folders = measured_pair(tmp_path)
    write_utility(folders[1], GRID, np.random.default_rng(0).random((11, 7)))
    with pytest.raises(UserError, match="measured on different test classes"):
        row_of(folders)
    for folder in folders:
        (folder / "utility.parquet").unlink()
    write_classes(folders[1], IMAGES[:11], np.full(11, 0.5))
    with pytest.raises(UserError, match="measured on different test classes"):
        row_of(folders)


def test_runs_with_other_images_are_refused(tmp_path):
    folders = measured_pair(tmp_path)
    write_classes(folders[0], IMAGES + 1, np.full(12, 0.5))
    with pytest.raises(UserError, match="count different images of a class"):
        row_of(folders)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("utility", lambda table: table.drop(columns="utility"), "is not a utility table"),
        ("utility", lambda table: table.iloc[1:], "lacks points"),
        ("utility", lambda table: pd.concat([table, table.iloc[:1]]), "contains duplicate entries"),
        ("classes", lambda table: table.drop(columns="num_images"), "lacks class, num_images"),
        ("classes", lambda table: pd.concat([table, table.iloc[:1]]), "has a row twice"),
    ],
)
def test_broken_files_are_named(tmp_path, name, change, message):
    folders = measured_pair(tmp_path)
    path = folders[0] / f"{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(UserError, match=message) as caught:
        row_of(folders)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_table_is_named(tmp_path):
    folders = measured_pair(tmp_path)
    (folders[0] / "classes.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match=r"classes\.parquet lacks"):
        row_of(folders)


@pytest.mark.parametrize("suffix", ["html", "md", "tex"])
def test_each_row_says_which_kind_it_is(tmp_path, suffix):
    folders = measured_pair(tmp_path) + write_pair(tmp_path, "sop/vit_b16/smooth_ap")
    folders += write_pair(tmp_path, "sop/resnet50/smooth_ap", seed=0)
    folders += write_pair(tmp_path, "sop/resnet50/smooth_ap", seed=1)
    write_tables(folders, "paper", tmp_path / "out")
    text = (tmp_path / f"out/comparisons.{suffix}").read_text()
    for kind in ("n = 1, class bootstrap", "n = 1, no interval", "n = 2, paired t"):
        assert text.count(kind) == 1
    for note in ("draws of the test classes", "Rows without interval", "paired t-interval"):
        assert note in text
    low = row_of(folders[:2])["opis_delta_low"]
    minus = "$-$" if suffix == "tex" else "−"
    assert f"{1e3 * low:+.2f}".replace("-", minus) in text


def test_intervals_of_the_same_measures_are_taken_from_an_earlier_table(tmp_path):
    folders = measured_pair(tmp_path, "cub/resnet50/smooth_ap", 0)
    folders += write_pair(tmp_path, "sop/vit_b16/smooth_ap")
    write_tables(folders, "paper", tmp_path / "out")
    known = earlier_intervals(tmp_path / "out/comparisons.csv")
    comparisons, _ = pair(read_runs(folders))
    first = comparisons_frame(comparisons, "paper")
    # Other curves behind the same measures would give other intervals, were they made again.
    for folder in folders[:2]:
        write_utility(folder, GRID, np.random.default_rng(folder.name == "tcm").random((12, 7)))
    assert comparisons_frame(comparisons, "paper").iloc[0]["opis_delta_low"] != pytest.approx(
        first.iloc[0]["opis_delta_low"]
    )
    pd.testing.assert_frame_equal(comparisons_frame(comparisons, "paper", known), first)


@pytest.mark.parametrize("changed", ["opis", "recall_at_1", "epsilon_opis"])
def test_a_changed_measure_gets_its_own_interval(changed, tmp_path):
    folders = measured_pair(tmp_path)
    write_tables(folders, "paper", tmp_path / "out")
    known = earlier_intervals(tmp_path / "out/comparisons.csv")
    metrics = json.loads((folders[1] / "metrics.json").read_text())
    value = np.nextafter(metrics[changed], 1)
    (folders[1] / "metrics.json").write_text(json.dumps(metrics | {changed: value}))
    for folder in folders:
        write_utility(folder, GRID, np.random.default_rng(5).random((12, 7)))
    comparisons, _ = pair(read_runs(folders))
    found = comparisons_frame(comparisons, "paper", known)
    pd.testing.assert_frame_equal(found, comparisons_frame(comparisons, "paper"))


def test_an_earlier_table_without_intervals_is_refused(tmp_path):
    path = tmp_path / "comparisons.csv"
    path.write_text("dataset,backbone,loss\ncub,resnet50,smooth_ap\n")
    with pytest.raises(UserError, match=r"comparisons\.csv has no column 'n_seeds'; make it anew"):
        earlier_intervals(path)


def test_csv_comes_back_through_pandas(tmp_path):
    folders = measured_pair(tmp_path) + write_pair(tmp_path, "sop/vit_b16/smooth_ap")
    write_tables(folders, "paper", tmp_path / "out")
    comparisons, _ = pair(read_runs(folders))
    read_back = pd.read_csv(tmp_path / "out/comparisons.csv")
    pd.testing.assert_frame_equal(read_back, comparisons_frame(comparisons, "paper"))
    assert read_back["interval"].to_list() == ["class bootstrap", "no interval"]
