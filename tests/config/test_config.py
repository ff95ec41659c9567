"""config.yaml: the shipped one is right, defaults are filled in, mistakes are one sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, check, runs, train_config
from tcmbench.config.schema import Config, load_schema
from tests.paths import ROOT

DATASETS = ("cub", "cars196", "sop", "inat2018")
LOSSES = ("smooth_ap", "recall_at_k")


def shipped() -> Config:
    config: Config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return config


def checked(config: Config) -> Config:
    return check(config, (*DATASETS, "mnist"), LOSSES)


def test_suites_are_the_papers_grid() -> None:
    config = checked(shipped())
    for suite in ("paper", "quick"):
        found = runs(config, suite)
        assert len(found) == len(set(found)) == 32
        assert {run.dataset for run in found} == set(DATASETS)
        assert {run.loss for run in found} == set(LOSSES)
        assert {run.variant for run in found} == {"base", "tcm"}
        assert len({run.backbone for run in found}) == 2


def test_images_may_lie_outside_and_the_tables_stay() -> None:
    run = Run("cub", "resnet50", "smooth_ap", "base", 0)
    inside = train_config(checked(shipped()), run)
    outside = train_config(checked(shipped() | {"data_root": "/shared/dml"}), run)
    assert inside["images"] == "results/data/full/cub"
    assert outside["images"] == "/shared/dml/full/cub"
    assert inside["manifest"] == outside["manifest"] == "results/data/full/cub/train.csv"


def test_layouts_are_named_by_dataset() -> None:
    assert checked(shipped())["layouts"] == {}
    with pytest.raises(UserError, match="'layouts' names an unknown 'cars'; did you mean 'cars19"):
        checked(shipped() | {"layouts": {"cars": "devkit"}})


def test_run_folder_is_the_contracts() -> None:
    run = Run("cub", "resnet50", "smooth_ap", "tcm", 3)
    assert run.folder == "results/runs/cub/resnet50/smooth_ap/tcm/seed3"


def test_later_recipes_win() -> None:
    config = shipped()
    config["recipes"].append({"where": {"dataset": ["cub", "sop"]}, "set": {"epochs": 7}})
    config = checked(config)
    epochs = {
        dataset: train_config(config, Run(dataset, "resnet50", "smooth_ap", "base", 0))[
            "optimization"
        ]["epochs"]
        for dataset in DATASETS
    }
    assert epochs == {"cub": 7, "cars196": 170, "sop": 7, "inat2018": 90}


def test_a_recipe_that_lacks_a_setting_is_named() -> None:
    config = shipped()
    for entry in config["recipes"]:
        entry["set"].pop("gamma", None)
    with pytest.raises(UserError, match=r"no recipe in config.yaml sets 'gamma' for cub, resnet50"):
        train_config(checked(config), Run("cub", "resnet50", "smooth_ap", "base", 0))


def test_defaults_are_the_schemas() -> None:
    config = shipped()
    for key in ("suite", "device", "check_disk", "custom_rules", "regularizer", "evaluation"):
        del config[key]
    del config["suites"]["quick"]["variants"], config["losses"]["smooth_ap"]["params"]
    found = checked(config)
    assert found["suite"] == "paper"
    assert found["custom_rules"] == []
    assert found["evaluation"]["num_thresholds"] == 101
    assert found["regularizer"] == {
        "margin_positive": 0.9,
        "margin_negative": 0.5,
        "weight_positive": 1.0,
        "weight_negative": 1.0,
    }
    assert found["suites"]["quick"]["variants"] == ["base", "tcm"]
    assert found["losses"]["smooth_ap"]["params"] == {}


def test_checking_leaves_the_input_alone() -> None:
    config = {**shipped()}
    del config["evaluation"]
    checked(config)
    assert "evaluation" not in config


def edit(path: str, value: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        *parents, last = path.split(".")
        for key in parents:
            config = config[int(key) if isinstance(config, list) else key]
        config[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (edit("sute", "quick"), "unknown key 'sute'; did you mean 'suite'?"),
        (edit("suite", "quik"), "key 'suite' names an unknown 'quik'; did you mean 'quick'?"),
        (edit("device", "gpu"), "key 'device' cannot be 'gpu'; did you mean 'cpu'?"),
        (edit("check_disk", "maybe"), "key 'check_disk' must be of type boolean, not 'maybe'"),
        (edit("evaluation.betta", 1), "unknown key 'evaluation.betta'; did you mean 'beta'?"),
        (
            edit("suites.quick.datasets", ["cubb"]),
            "key 'suites.quick.datasets' names an unknown 'cubb'; did you mean 'cub'?",
        ),
        (
            edit("suites.quick.backbones", ["resnet5O"]),
            "names an unknown 'resnet5O'; did you mean 'resnet50'?",
        ),
        (edit("losses.smoth_ap", {}), "names an unknown 'smoth_ap'; did you mean 'smooth_ap'?"),
        (
            edit("losses.smooth_ap.suites", ["qick"]),
            "key 'losses.smooth_ap.suites' names an unknown 'qick'; did you mean 'quick'?",
        ),
        (
            edit("recipes.0.where", {"loss": "recall_at"}),
            "key 'recipes.0.where.loss' names an unknown 'recall_at'; did you mean 'recall_at_k'?",
        ),
        (
            edit("suites.quick.seeds", [-1]),
            "key 'suites.quick.seeds.0' is wrong: -1 is less than the minimum of 0",
        ),
        (edit("evaluation.far_range", [0.1]), "key 'evaluation.far_range' is wrong"),
        (
            edit("suites.quick.backbones", ["resnet50"]),
            "trains backbone 'resnet50' on cub at another scale than a second suite",
        ),
    ],
)
def test_mistakes_are_one_sentence(change: Callable[[Config], None], sentence: str) -> None:
    config = shipped()
    change(config)
    with pytest.raises(UserError) as caught:
        checked(config)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_with_a_file_needs_none_in_the_library() -> None:
    config = shipped()
    config["losses"] |= {"mine": {"file": "mine.py"}, "custom": {"rule": "custom"}}
    assert {run.loss for run in runs(checked(config))} == {*LOSSES, "mine", "custom"}


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(schema: Any, path: str) -> list[str]:
        found = [] if "description" in schema else [path]
        for key, part in schema.get("properties", {}).items():
            found += undescribed(part, f"{path}.{key}")
        return found

    assert undescribed(load_schema(), "") == []


@pytest.mark.parametrize(
    ("key", "word", "meant"),
    [
        ("check_disk", "false", False),
        ("check_disk", "True", True),
        ("evaluation.epsilon", "0.2", 0.2),
        ("evaluation.num_thresholds", "51", 51),
        ("evaluation.beta", "1e-1", 0.1),
    ],
)
def test_words_of_the_command_line_are_read_as_meant(key: str, word: str, meant: object) -> None:
    raw = shipped()
    section, _, name = key.rpartition(".")
    (raw.setdefault(section, {}) if section else raw)[name] = word
    config = checked(raw)
    found = (config[section] if section else config)[name]
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize("word", ["no", "", "fals"])
def test_other_words_are_not(word: str) -> None:
    with pytest.raises(UserError, match="check_disk"):
        checked(shipped() | {"check_disk": word})


def test_numbers_in_lists_are_read_and_a_reversed_range_is_refused() -> None:
    raw = shipped()
    raw["evaluation"] = {"far_range": ["1e-3", "1e-1"]}
    assert checked(raw)["evaluation"]["far_range"] == [0.001, 0.1]
    raw["evaluation"] = {"far_range": [0.1, 0.01]}
    with pytest.raises(UserError, match=r"'evaluation.far_range' is \[0.1, 0.01\]"):
        checked(raw)
