"""Which margins are chosen, worked by hand."""

import json
import math
import statistics

import pandas as pd
import pytest

from tcmbench.common.errors import UserError
from tcmbench.margins.choice import BY_OPIS, BY_RECALL, write_margins
from tests.tables.run_folders import write_run

USUAL = {"margin_positive": 0.9, "margin_negative": 0.5, "weight_positive": 1, "weight_negative": 1}


def run_folder(root, name, regularizer, **metrics):
    folder = write_run(root, name, "miniature", **metrics)
    record = json.loads((folder / "run.json").read_text())
    record["config"]["regularizer"] = regularizer
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def runs(root, of_margins, base=(0.50, 0.60, 0.70), of=3):
    """Runs of one cell: base R@1 by fold, and by margin m+ the (R@1, OPIS) of each fold."""
    folders = []
    for number, recall in enumerate(base, 1):
        cell = f"cub~fold={number}of{of}/resnet50"
        folders.append(
            run_folder(root, f"{cell}/smooth_ap/base/seed0", None, recall_at_1=recall, opis=0.010)
        )
        for margin, folds in of_margins.items():
            loss = f"smooth_ap~regularizer.margin_positive={margin}"
            settings = USUAL | {"margin_positive": margin}
            recall_at_1, opis = folds[number - 1]
            folders.append(
                run_folder(
                    root, f"{cell}/{loss}/tcm/seed0", settings, recall_at_1=recall_at_1, opis=opis
                )
            )
    return folders


def table(root, folders):
    write_margins(folders, root / "out")
    return pd.read_csv(root / "out/margins.csv")


def test_the_lowest_opis_of_those_that_keep_recall(tmp_path):
    found = table(
        tmp_path,
        runs(
            tmp_path,
            {
                # Loses 2 points on every fold, with no spread: does not keep R@1.
                0.7: [(0.48, 0.001), (0.58, 0.001), (0.68, 0.001)],
                # Differences -1, 0, +1 points: mean 0.
                0.8: [(0.49, 0.004), (0.60, 0.006), (0.71, 0.008)],
                # Differences -2, -1, +2: mean -1/3, standard error sqrt(13/3)/sqrt(3) = 1.2.
                0.95: [(0.48, 0.003), (0.59, 0.004), (0.72, 0.005)],
            },
        ),
    )
    assert list(found["margin_positive"]) == [0.7, 0.8, 0.95]
    assert list(found["keeps_recall"]) == [False, True, True]
    assert list(found["chosen"]) == [False, False, True]
    assert found["rule"][2] == BY_OPIS
    last = found.iloc[2]
    assert (last["dataset"], last["n"], last["margin_negative"]) == ("cub", 3, 0.5)
    assert last["opis"] == pytest.approx(0.004)
    assert last["opis_se"] == pytest.approx(0.001 / math.sqrt(3))
    assert last["opis_base"] == pytest.approx(0.010)
    assert last["opis_delta"] == pytest.approx(-0.006)
    assert last["recall_at_1_delta"] == pytest.approx(-0.01 / 3)
    spread = statistics.stdev([-0.02, -0.01, 0.02]) / math.sqrt(3)
    assert last["recall_at_1_delta_se"] == pytest.approx(spread)


def test_the_smallest_loss_where_none_keeps_recall(tmp_path):
    found = table(
        tmp_path,
        runs(
            tmp_path,
            {
                0.8: [(0.45, 0.001), (0.55, 0.001), (0.65, 0.001)],
                0.9: [(0.49, 0.009), (0.59, 0.009), (0.69, 0.009)],
            },
        ),
    )
    assert list(found["chosen"]) == [False, True]
    assert found["rule"][1] == BY_RECALL


def test_runs_on_test_classes_choose_nothing(tmp_path):
    name = "cub/resnet50/smooth_ap"
    folders = [run_folder(tmp_path, f"{name}/base/seed{seed}", None) for seed in (0, 1)] + [
        run_folder(tmp_path, f"{name}/tcm/seed{seed}", USUAL) for seed in (0, 1)
    ]
    with pytest.raises(UserError, match="scored on test classes, which must not choose margins"):
        table(tmp_path, folders)


def test_one_fold_has_no_standard_error(tmp_path):
    folders = runs(tmp_path, {0.8: [(0.5, 0.001)]}, base=(0.5,))
    with pytest.raises(UserError, match="the only fold of its margins"):
        table(tmp_path, folders)
