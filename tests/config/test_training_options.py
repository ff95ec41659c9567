"""config.yaml's `training`: what is part of a run, and what is only handed to the command."""

import shlex

import pytest
import yaml

import train as door
from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, check, train_config, watch_options
from tcmbench.config.schema import Config
from tcmbench.training.settings import Settings
from tests.paths import ROOT

RUN = Run("cub", "resnet50", "recall_at_k", "tcm", 0)


def config(**training: object) -> Config:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["training"] = {**raw["training"], **training}
    datasets, losses = ("cub", "cars196", "sop", "inat2018", "mnist"), ("smooth_ap", "recall_at_k")
    return check(raw, datasets, losses)


def test_what_changes_numbers_is_part_of_the_run() -> None:
    found = train_config(config(precision="float32", compile=True), RUN)
    assert found["compute"] == {"precision": "float32", "compile": True}
    assert Settings.from_json(found).compute.compile
    assert train_config(config(), RUN)["compute"] == {"precision": "auto", "compile": False}


def test_how_it_is_watched_is_not() -> None:
    changed = config(checkpoint_minutes=0.5, log_seconds=3, tensorboard=True)
    assert train_config(changed, RUN) == train_config(config(), RUN)
    words = ["--config", "-", "--out", "folder"]
    shipped = door.parser().parse_args([*words, *shlex.split(watch_options(config()))])
    assert vars(shipped) == vars(door.parser().parse_args(words))
    found = door.parser().parse_args([*words, *shlex.split(watch_options(changed))])
    assert (found.checkpoint_minutes, found.log_seconds, found.tensorboard) == (0.5, 3, True)


def test_the_rule_hands_it_on_as_a_resource() -> None:
    """A changed parameter or command re-runs a training; a changed resource does not."""
    rule = (ROOT / "workflow/rules/train.smk").read_text()
    resources, params = rule.split("resources:")[1].split("params:")
    assert "watching=watch_options(config)" in resources
    assert "watch" not in params.split("shell:")[0]


@pytest.mark.parametrize(
    ("key", "value"), [("precision", "float8"), ("checkpoint_minutes", 0), ("minutes", 3)]
)
def test_a_mistake_is_refused(key: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"config\.yaml .*training\.{key}"):
        config(**{key: value})
