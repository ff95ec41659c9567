"""Suites that validate on folds of the training classes, and the margins that they choose."""

from pathlib import Path

import pytest

from tcmbench.common.errors import UserError
from tcmbench.config import folds, tuned
from tcmbench.config.check import runs, train_config
from tcmbench.config.folds import Fold
from tests.config.test_suites import checked

HEADER = (
    "dataset,scale,backbone,loss,"
    "margin_positive,margin_negative,weight_positive,weight_negative,chosen"
)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [("cub", ("cub", None)), ("cub~fold=3of4", ("cub", Fold(3, 4)))],
)
def test_a_name_and_its_fold(name, meaning):
    assert folds.parsed(name) == meaning
    assert folds.named(*meaning) == name


@pytest.mark.parametrize(
    "name", ["cub~fold=5of4", "cub~fold=0of4", "cub~fold=1of1", "cub~x", "cub~"]
)
def test_no_such_fold(name):
    with pytest.raises(UserError, match="fold"):
        folds.parsed(name)


def test_a_validated_suite_trains_every_fold_of_the_grid():
    config = checked("tune_small", losses=["recall_at_k"])
    found = runs(config)
    # 4 folds of 9 margins and a base run.
    assert len(found) == len(set(found)) == 4 * (9 + 1)
    assert {run.dataset for run in found} == {f"cub~fold={n}of4" for n in range(1, 5)}
    for run in found:
        settings = train_config(config, run)
        assert settings["manifest"] == f"results/data/miniature/{run.dataset}/train.csv"
        assert settings["images"] == "results/data/miniature/cub"
        # 16 classes of 4 images, less a quarter of the classes.
        assert settings["optimization"]["batch_size"] == 48


def test_tuned_margins_are_a_point_of_their_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = checked("quick", datasets=["cub"], backbones=["test_resnet"])
    config["regularizer"] = "tuned"
    with pytest.raises(UserError, match="no margins have been chosen at scale 'miniature'; run "):
        runs(config)
    table = Path("results/tables/tune_small/margins.csv")
    table.parent.mkdir(parents=True)
    rows = [
        "cub,miniature,test_resnet,smooth_ap,0.9,0.5,1.0,1.0,True",
        "cub,miniature,test_resnet,recall_at_k,0.9,0.5,1.0,1.0,False",
        "cub,miniature,test_resnet,recall_at_k,0.8,0.5,1.0,1.0,True",
    ]
    table.write_text("\n".join([HEADER, *rows]) + "\n")
    found = runs(config)
    assert [(run.loss, run.variant) for run in found] == [
        ("smooth_ap", "base"),
        ("smooth_ap", "tcm"),
        ("recall_at_k", "base"),
        ("recall_at_k~regularizer.margin_positive=0.8", "tcm"),
    ]
    assert train_config(config, found[3])["regularizer"] == {
        "margin_positive": 0.8,
        "margin_negative": 0.5,
        "weight_positive": 1.0,
        "weight_negative": 1.0,
    }
    # The suite that chooses is not changed by its own choice.
    assert runs(config, "tune_small") == runs(checked("tune_small"), "tune_small")
    table.write_text("\n".join([HEADER, rows[0]]) + "\n")
    with pytest.raises(UserError, match="chosen for cub, test_resnet, recall_at_k"):
        runs(config)
    table.write_text("something else\n1\n")
    with pytest.raises(UserError, match="is not a table of chosen margins"):
        runs(config)
    assert tuned.usual(config)["margin_positive"] == 0.9
