"""A part of a suite: names of all kinds and seeds, and what is left of the grid."""

from typing import Any

import pytest
import yaml

from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, check, runs
from tcmbench.config.pairs import base_of, compared, comparisons
from tcmbench.config.schema import Config
from tcmbench.config.selection import is_narrowed, narrowed
from tests.paths import ROOT

DATASETS = ("cub", "cars196", "sop", "inat2018", "mnist")
LOSSES = ("smooth_ap", "recall_at_k")


def config_of(suite: str = "paper", **keys: Any) -> Config:
    raw: Config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return check(raw | {"suite": suite} | keys, DATASETS, LOSSES)


def selected(suite: str = "paper", **keys: Any) -> list[Run]:
    return runs(narrowed(config_of(suite, **keys), DATASETS))


def test_names_of_every_kind_cut_the_grid() -> None:
    found = selected(only="cub,resnet50", seeds="0-2")
    # One dataset, one backbone, both losses, both variants, three seeds.
    assert len(found) == len(set(found)) == 1 * 1 * 2 * 2 * 3
    assert {(run.dataset, run.backbone) for run in found} == {("cub", "resnet50")}
    assert {run.seed for run in found} == {0, 1, 2}
    assert selected(only="tcm,sop,inat2018,recall_at_k") == [
        run
        for run in selected()
        if run.variant == "tcm" and run.dataset in ("sop", "inat2018") and run.loss == LOSSES[1]
    ]


def test_without_a_selection_nothing_changes() -> None:
    config = config_of()
    assert not is_narrowed(config)
    assert narrowed(config, DATASETS) == config


@pytest.mark.parametrize("only", ["cub, resnet50", ["cub", "resnet50"], ["cub,resnet50"]])
def test_names_come_as_words_or_lists(only: Any) -> None:
    assert selected(only=only) == selected(only="resnet50,cub")


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (3, [3]),
        ("0-2", [0, 1, 2]),
        ("5,0-2", [0, 1, 2, 5]),
        ([4, "1-2"], [1, 2, 4]),
        ("2-2,2", [2]),
    ],
)
def test_seeds_are_numbers_and_ranges(seeds: Any, expected: list[int]) -> None:
    found = selected(only="cub,resnet50,smooth_ap,base", seeds=seeds)
    assert [run.seed for run in found] == expected


@pytest.mark.parametrize("seeds", ["2-0", "a", "-1", "0-", "1.5", "", "0;1", []])
def test_what_is_no_seed_is_refused(seeds: Any) -> None:
    with pytest.raises(UserError, match=r"config\.yaml key 'seeds'"):
        selected(seeds=seeds)


def test_a_swept_loss_is_selected_with_all_its_points() -> None:
    whole = selected("pareto_small")
    found = selected("pareto_small", only="contrastive")
    assert found == [run for run in whole if run.loss.partition("~")[0] == "contrastive"]
    assert len(found) == len(whole) // 5


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'only' names 'resnet5', which is no .*'resnet50'\?"):
        selected(only="cub,resnet5")


def test_a_name_that_the_suite_lacks_is_said() -> None:
    with pytest.raises(
        UserError,
        match="the dataset 'mnist', which suite 'paper' does not have; its datasets are cub, cars",
    ):
        selected(only="mnist")
    # A loss of the file that does not join the suite.
    with pytest.raises(UserError, match="the loss 'circle', which suite 'paper' does not have"):
        selected(only="circle")


def test_a_name_of_two_kinds_is_refused() -> None:
    raw: Config = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["backbones"]["circle"] = raw["backbones"]["resnet50"]
    with pytest.raises(UserError, match=r"has 'circle' as a backbone and as a loss, and .* only="):
        check(raw, DATASETS, LOSSES)


# Comparisons


def test_comparisons_are_cells_and_not_seeds() -> None:
    assert comparisons(selected()) == 16
    assert comparisons(selected(seeds="0-4")) == 16
    assert comparisons(selected(only="cub,resnet50", seeds="0-2")) == 2
    assert comparisons(selected(only="tcm")) == 0


def test_a_base_run_has_no_settings_of_the_regularizer() -> None:
    point = "recall_at_k~batch_size=32,regularizer.margin_positive=0.8"
    tcm = Run("cub", "resnet50", point, "tcm", 1)
    base = Run("cub", "resnet50", "recall_at_k~batch_size=32", "base", 1)
    assert base_of(tcm) == base
    assert compared([base, tcm]) == [tcm]
    assert compared([tcm]) == compared([base]) == []
    # 25 margins and 9 weights have a point in common.
    assert comparisons(selected("ablation")) == 25 + 9 - 1
