"""Suites beyond the paper's grid: swept settings, a package's losses, and their tables."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, check, runs, train_config
from tcmbench.config.schema import Config
from tcmbench.config.sweeps import named, parsed, points
from tcmbench.losses import available_losses, load_loss
from tcmbench.tables.frames import comparisons_frame
from tcmbench.tables.names import cell_order, loss_title
from tcmbench.tables.pairing import pair
from tcmbench.tables.references import add_references
from tcmbench.tables.runs import read_runs
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import write_run

MARGINS = "recall_at_k~regularizer.margin_negative=0.3,regularizer.margin_positive=0.8"


def shipped() -> Config:
    config: Config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return config


def checked(suite: str = "paper", **changes: Any) -> Config:
    """Return the shipped configuration; `changes` are keys of the suite."""
    raw = shipped()
    raw["suites"][suite] |= changes
    return check(raw | {"suite": suite}, datasets.names(), available_losses())


# Names


def test_a_point_is_written_behind_its_loss() -> None:
    assert named("circle", {}) == "circle"
    point = {"regularizer.margin_positive": 0.8, "batch_size": 32.0, "learning_rate": 1e-5}
    name = "circle~batch_size=32,learning_rate=1e-05,regularizer.margin_positive=0.8"
    assert named("circle", point) == name
    assert parsed(name) == ("circle", point)
    assert parsed("circle") == ("circle", {})


@pytest.mark.parametrize("name", ["a~b", "a~b=", "a~b=x", "a~b=true", "a~b=1,c"])
def test_what_is_no_point_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is not a loss at a swept point; it is written loss~"):
        parsed(name)


def test_grids_are_multiplied_out_one_after_the_other() -> None:
    found = points([{"a": [1, 2], "b": [3, 4]}, {"c": [5]}])
    assert found == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
        {"c": 5},
    ]
    assert points([]) == [{}]


def test_points_have_titles_and_the_order_of_their_values() -> None:
    names = [f"recall_at_k~batch_size={size}" for size in (128, 32, 64)]
    assert loss_title(names[1]) == "Recall@k, batch size 32"
    assert loss_title(MARGINS) == "Recall@k, margin negative 0.3, margin positive 0.8"
    mixed = [*names, "recall_at_k", "proxy_anchor~batch_size=2", "smooth_ap"]
    ordered = sorted(mixed, key=lambda loss: cell_order("cub", "resnet50", loss))
    assert [mixed.index(name) for name in ordered] == [5, 3, 1, 2, 0, 4]


# Runs


@pytest.mark.parametrize(
    ("suite", "trainings", "bases"),
    [
        ("paper", 32, 16),
        ("quick", 32, 16),
        ("pareto", 2 * 5 * 4 * 2, 40),
        ("pareto_small", 2 * 5 * 3 * 2, 30),
        # 25 margins and 9 weights have the paper's point in common, and one base run.
        ("ablation", 25 + 9 - 1 + 1, 1),
        ("ablation_small", 9 + 9 - 1 + 1, 1),
        # Sixteen cells, or two, in four folds of nine margins and a base run.
        ("tune", 16 * 4 * (9 + 1), 16 * 4),
        ("tune_small", 2 * 4 * (9 + 1), 2 * 4),
        ("toy", 2, 1),
        ("toy_mnist", 2, 1),
    ],
)
def test_number_of_trainings(suite: str, trainings: int, bases: int) -> None:
    config = checked(suite)
    found = runs(config)
    assert len(found) == len({run.folder for run in found}) == trainings
    assert Counter(run.variant for run in found)["base"] == bases
    for run in found:
        train_config(config, run)


def test_folders_of_a_sweep() -> None:
    found = {run.folder.removeprefix("results/runs/cub/") for run in runs(checked("pareto_small"))}
    # 64 is the miniature's own batch: these are the quick suite's runs.
    for loss in ("recall_at_k~batch_size=32", "recall_at_k", "recall_at_k~batch_size=128"):
        assert {f"test_vit/{loss}/{variant}/seed0" for variant in ("base", "tcm")} <= found
    assert not [folder for folder in found if "batch_size=64" in folder]


def test_the_regularizer_is_swept_with_tcm_alone() -> None:
    by_variant: dict[str, list[str]] = {"base": [], "tcm": []}
    for run in runs(checked("ablation_small")):
        by_variant[run.variant].append(run.loss)
    assert by_variant["base"] == ["recall_at_k"]
    assert {MARGINS, "recall_at_k"} <= set(by_variant["tcm"])
    weights = [name for name in by_variant["tcm"] if "weight" in name]
    assert len(weights) == 8
    assert not [name for name in weights if "margin" in name]


def test_a_recipe_and_the_regularizer_are_swept_together() -> None:
    grid = {"batch_size": [32, 64], "regularizer.weight_positive": [0.5, 1]}
    config = checked("ablation_small", sweep=[grid])
    assert [(run.loss, run.variant) for run in runs(config)] == [
        ("recall_at_k~batch_size=32", "base"),
        ("recall_at_k~batch_size=32,regularizer.weight_positive=0.5", "tcm"),
        ("recall_at_k~batch_size=32", "tcm"),
        ("recall_at_k", "base"),
        ("recall_at_k~regularizer.weight_positive=0.5", "tcm"),
        ("recall_at_k", "tcm"),
    ]


def test_configuration_of_a_swept_point() -> None:
    config = checked("ablation_small")
    usual = train_config(config, Run("cub", "test_resnet", "recall_at_k", "tcm", 0))
    swept = train_config(config, Run("cub", "test_resnet", MARGINS, "tcm", 0))
    margins = {"margin_positive": 0.8, "margin_negative": 0.3}
    assert swept == usual | {"regularizer": usual["regularizer"] | margins}
    name = "recall_at_k~batch_size=32,learning_rate=0.5"
    batch = train_config(config, Run("cub", "test_resnet", name, "base", 0))
    assert batch["loss"]["name"] == "recall_at_k"
    assert batch["regularizer"] is None
    changed = {"batch_size": 32, "learning_rate": 0.5}
    assert batch["optimization"] == usual["optimization"] | changed


def test_losses_of_a_suite_are_those_it_lists_or_those_that_join() -> None:
    lists = checked("quick", losses=["circle"])
    assert {run.loss for run in runs(lists)} == {"circle"}
    assert {run.loss for run in runs(lists, "paper")} == {"smooth_ap", "recall_at_k"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"losses": ["circel"]}, "'suites.pareto.losses' names an unknown 'circel'; did you mean"),
        ({"sweep": [{"batchsize": [4]}]}, "'suites.pareto.sweep.0' names an unknown 'batchsize'; "),
        ({"sweep": [{"batch_size": [1.5]}]}, "sweep.0.batch_size' cannot hold 1.5: 1.5 is not of"),
        ({"sweep": [{"batch_size": [1]}]}, "cannot hold 1: 1 is less than the minimum of 2; batch"),
        (
            {"sweep": [{"regularizer.weight_positive": [-1]}]},
            "regularizer.weight_positive' cannot hold -1: -1 is less than the minimum of 0; weight",
        ),
        ({"sweep": [{"optimizer": ["adam"]}]}, "sweep.0.optimizer.0' must be of type number"),
        ({"sweep": [{"optimizer": [1]}]}, "sweep.0.optimizer' cannot hold 1: 1 is not one of"),
        ({"sweep": [{"batch_size": []}]}, "key 'suites.pareto.sweep.0.batch_size' is wrong: "),
        ({"sweep": {"batch_size": [4]}}, "key 'suites.pareto.sweep' must be of type array"),
    ],
)
def test_a_mistake_in_a_suite_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        checked("pareto", **changes)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_has_a_file_or_a_class() -> None:
    raw = shipped()
    raw["losses"]["circle"]["file"] = "circle.py"
    with pytest.raises(UserError, match=r"'losses\.circle' has both a file and a class; keep one"):
        check(raw, datasets.names(), available_losses())
    raw["losses"]["circle"] = {"class": "Circle"}
    with pytest.raises(UserError, match=r"'losses\.circle\.class' is wrong"):
        check(raw, datasets.names(), available_losses())


# A package's losses


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("pytorch_metric_learning.losses.Circle", "there is no class pytorch_metric_learning.loss"),
        ("no_such_package.Loss", "there is no class no_such_package.Loss (No module named"),
        ("math.pi", "math.pi is no torch.nn.Module; name a loss"),
        ("pathlib.Path", "pathlib.Path is no torch.nn.Module; name a loss"),
    ],
)
def test_a_wrong_class_is_one_sentence(path: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load_loss("mine", {}, class_path=path)
    assert str(caught.value).startswith(f"loss 'mine': {sentence}")


# Tables


def swept_run(root: Path, loss: str, variant: str, scale: str = "full", **values: Any) -> Path:
    """Write a run at a swept point, whose record has the settings that its name has."""
    point = parsed(loss)[1]
    folder = write_run(root, f"cub/resnet50/{loss}/{variant}/seed0", scale, **values)
    record = json.loads((folder / "run.json").read_text())
    margin = {"margin_positive": 0.9, "margin_negative": 0.5}
    margin |= {key[12:]: value for key, value in point.items() if key.startswith("regularizer.")}
    record["config"] |= {
        "optimization": {"batch_size": point.get("batch_size", 400)},
        "regularizer": margin if variant == "tcm" else None,
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_tables_of_a_swept_batch(tmp_path: Path) -> None:
    folders = [
        swept_run(tmp_path, f"{loss}{point}", variant, opis=opis)
        for loss, opis in (("smooth_ap", 0.004), ("recall_at_k", 0.002))
        for point in ("", "~batch_size=48", "~batch_size=192")
        for variant in ("base", "tcm")
    ]
    assert write_tables(folders, "pareto", tmp_path) == []
    table = pd.read_csv(tmp_path / "runs.csv")
    assert list(table["loss"]) == ["smooth_ap"] * 6 + ["recall_at_k"] * 6
    assert list(table["batch_size"]) == [400, 400, 48, 48, 192, 192] * 2
    rows = pd.read_csv(tmp_path / "comparisons.csv")
    assert list(rows["loss"]) == ["smooth_ap"] * 3 + ["recall_at_k"] * 3
    assert list(rows["batch_size"]) == [400, 48, 192] * 2
    assert list(rows["opis_base"]) == [0.004] * 3 + [0.002] * 3
    printed = (tmp_path / "comparisons.md").read_text()
    for size in (400, 48, 192):
        assert f"Recall@k, batch size {size}" in printed


def test_tables_of_a_swept_margin_share_the_base_run(tmp_path: Path) -> None:
    base = swept_run(tmp_path, "recall_at_k", "base", opis=0.010)
    usual = swept_run(tmp_path, "recall_at_k", "tcm", opis=0.009)
    other = swept_run(tmp_path, MARGINS, "tcm", opis=0.007)
    assert write_tables([other, base, usual], "ablation", tmp_path) == []
    rows = pd.read_csv(tmp_path / "comparisons.csv")
    assert list(rows["margin_positive"]) == [0.9, 0.8]
    assert list(rows["margin_negative"]) == [0.5, 0.3]
    assert list(rows["opis_base"]) == [0.010, 0.010]
    assert list(rows["opis_delta"]) == pytest.approx([-0.001, -0.003])
    assert rows["setting"].tolist()[1] == "margin negative 0.3, margin positive 0.8"
    table = pd.read_csv(tmp_path / "runs.csv")
    assert table["margin_positive"].isna().tolist() == [True, False, False]


def test_a_swept_run_without_its_base_is_left_out(tmp_path: Path) -> None:
    whole = [swept_run(tmp_path, "recall_at_k", variant) for variant in ("base", "tcm")]
    alone = swept_run(tmp_path, "recall_at_k~batch_size=48", "tcm")
    comparisons, notes = pair(read_runs([*whole, alone]))
    assert [one.cell[2] for one in comparisons] == ["recall_at_k"]
    assert [str(alone) in note for note in notes] == [True]


def test_tables_without_a_sweep_have_no_columns_of_one(tmp_path: Path) -> None:
    folders = [swept_run(tmp_path, "recall_at_k", variant) for variant in ("base", "tcm")]
    write_tables(folders, "paper", tmp_path)
    rows = pd.read_csv(tmp_path / "comparisons.csv")
    assert not {"setting", "as_configured", "batch_size"} & set(rows)


def test_numbers_of_others_stand_beside_the_usual_settings_alone(tmp_path: Path) -> None:
    folders = [
        swept_run(tmp_path, loss, variant)
        for loss in ("recall_at_k", "recall_at_k~batch_size=48")
        for variant in ("base", "tcm")
    ]
    frame = comparisons_frame(pair(read_runs(folders))[0], "pareto")
    published = {("cub", "resnet50", "recall_at_k"): {"recall_at_1": 0.7}}
    found = add_references(frame, {}, published)["published_recall_at_1"]
    assert found[0] == 0.7
    assert found.isna().tolist() == [False, True]
    alone = add_references(frame.iloc[1:], {}, published)
    assert "published_recall_at_1" not in alone


def test_a_folder_with_half_a_point_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "cub/resnet50/recall_at_k~batch_size/base/seed0")
    with pytest.raises(UserError, match="'recall_at_k~batch_size' is not a loss at a swept point"):
        read_runs([folder])
