"""Losses with a vector for each class: pytorch-metric-learning's, trained, saved and resumed."""

import json

import pytest
import torch

from tcmbench.common.errors import UserError
from tcmbench.losses import load_loss
from tcmbench.training import loop
from tcmbench.training.loop import Training, Watching, train
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop
from tests.training.tiny_data import BATCHES, CLASSES, config, margins

FILE = """
from pytorch_metric_learning import losses

class Mine(losses.{name}):
    pass
"""
NAMES = {"ArcFaceLoss": "W", "ProxyAnchorLoss": "proxies"}


@pytest.fixture(params=NAMES)
def values(request, tiny_set, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FILE.format(name=request.param))
    loss = {"name": "mine", "params": {"margin": 0.2}, "file": str(file)}
    return config(tiny_set, **margins(), loss=loss, chunk_size=5, learning_rate=3e-3)


def classes_of(training):
    """The parameter with a vector for each class."""
    (parameter,) = training.engine.objective.parameters()
    return parameter


def test_it_learns_the_number_of_classes_and_its_vectors_are_trained(values, tmp_path):
    training = Training(Settings.from_json(values), tmp_path / "run", "cpu")
    vectors = classes_of(training)
    assert sorted(vectors.shape) == [CLASSES, 16]
    assert training.engine.objective.base.margin != 28.6
    start = vectors.detach().clone()
    training.run(Stop())
    moved = (vectors - start).abs()
    assert moved.max() > 1e-3
    assert moved.flatten().count_nonzero() > 0.9 * moved.numel()
    curve = [entry["base"] for entry in training.course.curve]
    assert curve[-1] < curve[0]


def test_its_parameters_are_resumed(values, tmp_path, monkeypatch):
    settings = Settings.from_json(values)
    train(settings, tmp_path / "whole", "cpu")
    save = loop.checkpoint.save

    def killed(folder, parts, state):
        save(folder, parts, state)
        if state["course"]["steps"] == BATCHES + 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "cut", "cpu", watching=Watching(checkpoint_minutes=0))
    state = torch.load(tmp_path / "cut/last.ckpt", weights_only=True)["state"]["engine"]
    assert len(state["objective"]) == 1
    groups = state["optimizer"]["param_groups"]
    assert sum(len(group["params"]) for group in groups) == len(state["optimizer"]["state"])
    train(settings, tmp_path / "cut", "cpu", resume=True)
    for name in ("whole", "cut"):
        record = json.loads((tmp_path / name / "run.json").read_text())
        # The vectors of the training classes are no part of the network.
        assert record["num_parameters"] == sum(
            value.numel()
            for name, value in state["model"].items()
            if "running" not in name and "num_batches" not in name
        )
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()


ASKING = """
from torch import nn

class Asking(nn.Module):
    def __init__(self, num_classes, other=1):
        super().__init__()
        self.asked = num_classes, other
"""


def test_sizes_go_only_to_who_asks_and_parameters_come_first(tmp_path):
    file = tmp_path / "asking.py"
    file.write_text(ASKING)
    sizes = {"num_classes": 8, "embedding_size": 16}
    assert load_loss("asking", {}, file, sizes).asked == (8, 1)
    assert load_loss("asking", {"num_classes": 3, "other": 2}, file, sizes).asked == (3, 2)
    assert load_loss("smooth_ap", {}, None, sizes).temperature == 0.01
    with pytest.raises(UserError, match="num_classes"):
        load_loss("asking", {}, file)
