"""The loads that the time left begins with, against what `plan` counts and by hand."""

import pytest

from tcmbench.config.check import Run, train_config
from tcmbench.models.network import ModelSpec
from tcmbench.plan.effort import GFLOP, embedding_seconds, training_seconds
from tcmbench.plan.network import work_of
from tests.config.test_selection import config_of


@pytest.mark.parametrize("backbone", ["resnet50", "vit_b16"])
def test_operations_are_those_that_plan_counts(backbone: str) -> None:
    model = train_config(config_of(), Run("inat2018", backbone, "recall_at_k", "base", 0))["model"]
    work = work_of(ModelSpec(**model), 224, "float32")
    assert (work.forward + work.backward) / 1e9 == pytest.approx(GFLOP[model["timm"]], rel=0.02)


def test_seconds_go_with_epochs_images_and_network() -> None:
    config = config_of()
    cub, large = (
        train_config(config, Run(*cell, "smooth_ap", "base", 0))
        for cell in (("cub", "resnet50"), ("inat2018", "vit_b16"))
    )
    # 40 epochs of 5,864 images at 24.3 GFLOP, and 90 of 325,846 at 105.9.
    small, great = training_seconds(cub, 5_864), training_seconds(large, 325_846)
    assert great / small == pytest.approx(90 * 325_846 * 105.9 / (40 * 5_864 * 24.3))
    assert embedding_seconds(cub, 5_864) == pytest.approx(small / 40 / 3)
