"""The 16 cells of the paper's suite against the table of recipes, typed in from the sources.

RS is github.com/yash0307/RecallatK_surrogate @ed05202, src/main.py L58-152 and src/netlib.py; SA is
github.com/Andrew-Brown1/Smooth_AP @59927ec, src/main.py L33-77 and src/netlib.py. What neither says
(Smooth-AP outside iNaturalist, Smooth-AP with a vision transformer) is ours.
"""

from typing import Any

import pytest
import torch
import yaml
from torch import nn

from tcmbench.config.check import Run, check, runs, train_config
from tcmbench.config.schema import Config
from tcmbench.models.network import EmbeddingModel, GeM, ModelSpec
from tcmbench.training.settings import Settings
from tests.paths import ROOT

DATASETS = ("cub", "cars196", "sop", "inat2018")
ADAM, ADAMW = "adam", "adamw"
GEM, AVG, TOKEN = ("gem", True), ("avg", False), ("token", True)
# Batch, epochs, milestones, learning rate, optimiser; pooling and LayerNorm.
CELLS = {
    ("cub", "resnet50", "recall_at_k"): (400, 40, [10, 20, 30], 1e-4, ADAM, GEM),
    ("cub", "vit_b16", "recall_at_k"): (400, 40, [10, 20, 30], 1e-5, ADAMW, TOKEN),
    ("cars196", "resnet50", "recall_at_k"): (392, 170, [80, 140], 1e-4, ADAM, GEM),
    ("cars196", "vit_b16", "recall_at_k"): (392, 50, [20, 30, 40], 1e-5, ADAMW, TOKEN),
    ("sop", "resnet50", "recall_at_k"): (4000, 55, [25, 50], 2e-4, ADAM, GEM),
    ("sop", "vit_b16", "recall_at_k"): (4000, 55, [25, 50], 5e-5, ADAMW, TOKEN),
    ("inat2018", "resnet50", "recall_at_k"): (4000, 90, [40, 70], 1e-4, ADAM, GEM),
    ("inat2018", "vit_b16", "recall_at_k"): (4000, 90, [10, 40, 70], 5e-5, ADAMW, TOKEN),
    ("cub", "resnet50", "smooth_ap"): (384, 40, [10, 20, 30], 1e-5, ADAM, AVG),
    ("cub", "vit_b16", "smooth_ap"): (384, 40, [10, 20, 30], 1e-5, ADAMW, TOKEN),
    ("cars196", "resnet50", "smooth_ap"): (384, 170, [80, 140], 1e-5, ADAM, AVG),
    ("cars196", "vit_b16", "smooth_ap"): (384, 50, [20, 30, 40], 1e-5, ADAMW, TOKEN),
    ("sop", "resnet50", "smooth_ap"): (384, 100, [50, 80], 1e-5, ADAM, AVG),
    ("sop", "vit_b16", "smooth_ap"): (384, 100, [50, 80], 1e-5, ADAMW, TOKEN),
    ("inat2018", "resnet50", "smooth_ap"): (384, 90, [40, 70], 1e-5, ADAM, AVG),
    ("inat2018", "vit_b16", "smooth_ap"): (384, 90, [40, 70], 1e-5, ADAMW, TOKEN),
}


def paper() -> Config:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    return check(raw, (*DATASETS, "mnist"), ("smooth_ap", "recall_at_k"))


CONFIG = paper()


def of_cell(cell: tuple[str, str, str], variant: str = "base") -> Config:
    return train_config(CONFIG, Run(*cell, variant, 0))


def test_the_table_is_the_whole_suite() -> None:
    assert {(run.dataset, run.backbone, run.loss) for run in runs(CONFIG, "paper")} == set(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_cell(cell: tuple[str, str, str]) -> None:
    found = of_cell(cell)
    plan, model = found["optimization"], found["model"]
    assert (
        plan["batch_size"],
        plan["epochs"],
        plan["milestones"],
        plan["learning_rate"],
        plan["optimizer"],
        (model["pooling"], model["layer_norm"]),
    ) == CELLS[cell]
    # Common to both repositories.
    assert (plan["samples_per_class"], plan["weight_decay"], plan["gamma"]) == (4, 4e-4, 0.3)
    assert (model["embedding_size"], model["freeze_batch_norm"]) == (512, True)
    assert found["view"] == {"resize": 256, "crop": 224, "crop_scale": [0.08, 1.0], "flip": 0.5}
    # A batch is P x K whole classes, and no milestone lies behind the last epoch.
    assert plan["batch_size"] % plan["samples_per_class"] == 0
    assert plan["milestones"] == sorted(set(plan["milestones"]))
    assert plan["milestones"][-1] < plan["epochs"]
    # `train.py` takes it as it is.
    assert Settings.from_json(found).to_json()["optimization"] == plan


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_base_and_tcm_differ_in_the_regularizer_alone(cell: tuple[str, str, str]) -> None:
    base, tcm = of_cell(cell), of_cell(cell, "tcm")
    differing = {key for key in base.keys() | tcm.keys() if base.get(key) != tcm.get(key)}
    assert differing == {"variant", "regularizer"}
    assert base["regularizer"] is None
    assert tcm["regularizer"] == {
        "margin_positive": 0.9,
        "margin_negative": 0.5,
        "weight_positive": 1.0,
        "weight_negative": 1.0,
    }


@pytest.mark.parametrize("loss", ["recall_at_k", "smooth_ap"])
@pytest.mark.parametrize("backbone", ["resnet50", "vit_b16"])
def test_network_is_the_official_one(backbone: str, loss: str) -> None:
    """RS netlib.py L38-77, L105-133; SA netlib.py L70-108: the head, and what of it learns."""
    spec = ModelSpec(**of_cell(("cub", backbone, loss))["model"])
    spec.model_args.update({"depth": 1} if backbone == "vit_b16" else {})  # the head is the same
    model = EmbeddingModel(spec).train()
    width = {"resnet50": 2048, "vit_b16": 768}[backbone]
    head = {
        name: tuple(value.shape)
        for name, value in model.named_parameters()
        if not name.startswith("backbone.")
    }
    linear = {"project.weight": (512, width), "project.bias": (512,)}
    norm = {"norm.weight": (width,), "norm.bias": (width,)}
    expected: dict[str, Any] = linear | (
        norm if (backbone, loss) != ("resnet50", "smooth_ap") else {}
    )
    if (backbone, loss) == ("resnet50", "recall_at_k"):
        expected |= {"pool.exponent": ()}
        assert isinstance(model.pool, GeM)
        assert model.pool.exponent.item() == 3.0
    assert head == expected
    assert all(parameter.requires_grad for parameter in model.parameters())
    frozen = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(frozen) == (53 if backbone == "resnet50" else 0)
    assert not any(module.training for module in frozen)
    if backbone == "vit_b16":
        # The class token after the backbone's own last norm, then the head's.
        assert isinstance(model.backbone.norm, nn.LayerNorm)
        features = model.backbone.forward_features(torch.zeros(1, 3, 224, 224))
        assert features[0, 0].detach().std(correction=0).item() == pytest.approx(1.0, abs=1e-2)


def test_images_are_normalised_as_imagenet_for_every_backbone() -> None:
    # RS datasets.py L222, also for the ViT whose weights were made with 0.5.
    from tcmbench.images.loading import MEAN, STD

    assert MEAN == (0.485, 0.456, 0.406)
    assert STD == (0.229, 0.224, 0.225)


def test_start_weights_are_pinned() -> None:
    for name in ("resnet50", "vit_b16"):
        entry = CONFIG["backbones"][name]
        assert entry["weights"] == "hub"
        assert len(entry["revision"]) == 40
        assert len(entry["sha256"]) == 64
        assert "." in entry["timm"], "a name without its tag changes with timm"
