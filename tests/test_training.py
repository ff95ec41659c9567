"""Whole trainings of a tiny network: the same bits again, fair pairs, and what goes wrong."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny_data
import train as door
from tcmbench.errors import UserError
from tcmbench.images import Draw, TrainingView
from tcmbench.manifests import read_manifest
from tcmbench.models import EmbeddingModel, save_tensors
from tcmbench.training import loop
from tcmbench.training.loop import Training, train
from tcmbench.training.settings import Settings
from tiny_data import config, exit_code, margins

CPU = torch.device("cpu")


def trained(values, folder):
    train(Settings.from_json(values), folder, CPU)
    return (folder / "model.safetensors").read_bytes()


def test_seed_decides_every_bit(tiny_set, tmp_path):
    first = trained(config(tiny_set), tmp_path / "first")
    torch.manual_seed(99)
    assert trained(config(tiny_set), tmp_path / "second") == first
    assert trained(config(tiny_set, seed=1), tmp_path / "third") != first


def test_run_json_is_a_configuration_that_gives_the_same_weights(tiny_set, tmp_path, capsys):
    weights = trained(config(tiny_set, **margins(), epochs=2), tmp_path / "first")
    record = tmp_path / "first/run.json"
    assert exit_code(door, "--config", record, "--out", tmp_path / "again", "--device", "cpu") == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights
    lines = capsys.readouterr().err.splitlines()
    # Two epochs, trained twice.
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"] * 2
    assert json.loads(record.read_text())["config"]["regularizer"]["margin_positive"] == 0.9


@pytest.fixture
def seen(monkeypatch):
    """Every batch that reaches the gradient, in place of `backward`'s own arguments."""
    batches = []

    def recorded(model, objective, images, labels, chunk_size):
        batches.append((images.clone(), labels.clone()))
        return original(model, objective, images, labels, chunk_size)

    original = loop.backward
    monkeypatch.setattr(loop, "backward", recorded)
    return batches


def test_base_and_tcm_start_alike_and_see_the_same_pixels(tiny_set, seen):
    starts, finals, batches = [], [], []
    for changes in ({}, margins()):
        training = Training(Settings.from_json(config(tiny_set, **changes)), CPU)
        starts.append({k: v.clone() for k, v in training.model.state_dict().items()})
        for epoch in range(2):
            training.run_epoch(epoch)
        finals.append(training.model.state_dict()["project.weight"])
        batches.append(list(seen))
        seen.clear()
    assert starts[0].keys() == starts[1].keys()
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])
    assert len(batches[0]) == len(batches[1]) == 2 * tiny_data.BATCHES
    for (images, labels), (other_images, other_labels) in zip(*batches, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)
    # They do not stay alike: the regularizer reaches the weights.
    assert not torch.equal(*finals)


def test_labels_belong_to_the_pixels_and_no_augmentation_repeats(tiny_set, seen, monkeypatch):
    drawn = []
    original = TrainingView.__getitem__
    monkeypatch.setattr(
        TrainingView,
        "__getitem__",
        lambda view, draw: (drawn.append(draw), original(view, draw))[1],
    )
    training = Training(Settings.from_json(config(tiny_set)), CPU)
    for epoch in range(2):
        training.run_epoch(epoch)
    monkeypatch.setattr(TrainingView, "__getitem__", original)
    items = read_manifest(tiny_set / "train.csv")
    assert torch.cat([labels for _, labels in seen]).tolist() == [items[d.row].label for d in drawn]
    view = TrainingView([tiny_set / item.path for item in items], training.settings.view)
    pixels = torch.cat([images for images, _ in seen])
    assert torch.equal(pixels, torch.stack([view[Draw(d.row, d.seed)] for d in drawn]))
    assert len({d.seed for d in drawn}) == len(drawn) == 2 * 12 * tiny_data.BATCHES


def test_schedule_and_optimizer_are_those_of_the_settings(tiny_set):
    training = Training(Settings.from_json(config(tiny_set, optimizer="adamw")), CPU)
    assert isinstance(training.optimizer, torch.optim.AdamW)
    rates = []
    for epoch in range(3):
        rates.append(training.optimizer.param_groups[0]["lr"])
        training.run_epoch(epoch)
    # The milestone is 2, gamma 0.3.
    assert rates == pytest.approx([1e-3, 1e-3, 3e-4])
    (group,) = training.optimizer.param_groups
    assert group["weight_decay"] == 4e-4
    assert len(group["params"]) == len(list(training.model.parameters()))


def test_start_weights_go_into_the_backbone(tiny_set, tmp_path):
    settings = Settings.from_json(config(tiny_set, seed=5))
    torch.manual_seed(123)
    backbone = EmbeddingModel(settings.model).backbone
    save_tensors(backbone, tmp_path / "start.safetensors")
    values = config(tiny_set, seed=5, weights=str(tmp_path / "start.safetensors"))
    training = Training(Settings.from_json(values), CPU)
    for name, value in backbone.state_dict().items():
        assert torch.equal(training.model.backbone.state_dict()[name], value)


def test_training_learns(tiny_set, tmp_path):
    trained(config(tiny_set, epochs=12, milestones=[], learning_rate=3e-3), tmp_path)
    curve = json.loads((tmp_path / "run.json").read_text())["loss_curve"]
    assert np.mean(curve[-3:]) < 0.9 * curve[0]


CENTRES = """
import torch
from torch import nn

class Centres(nn.Module):
    def __init__(self, classes, size):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, size))

    def forward(self, embeddings, labels):
        noise = 0.01 * torch.randn_like(embeddings)
        return nn.functional.cross_entropy((embeddings + noise) @ self.centres.T, labels - 10)
"""


def test_parameters_of_a_loss_are_trained_and_resumed(tiny_set, tmp_path, monkeypatch):
    (tmp_path / "centres.py").write_text(CENTRES)
    loss = {"name": "centres", "params": {"classes": 8, "size": 16}}
    values = config(tiny_set, loss={**loss, "file": str(tmp_path / "centres.py")})
    whole = trained(values, tmp_path / "whole")

    kept = []
    save = loop.checkpoint.save

    def killed(folder, stamp, epoch, parts, curve):
        save(folder, stamp, epoch, parts, curve)
        kept.append(parts["objective"].base.centres.detach().clone())
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(values, tmp_path / "cut")
    assert not torch.equal(*kept)
    monkeypatch.setattr(loop.checkpoint, "save", save)
    train(Settings.from_json(values), tmp_path / "cut", CPU, resume=True)
    # The loss draws random numbers as well: their state continues too.
    assert (tmp_path / "cut/model.safetensors").read_bytes() == whole
    assert "objective" not in "".join(load_file(tmp_path / "cut/model.safetensors"))


def test_a_loss_that_is_not_finite_leaves_no_weights(tiny_set, tmp_path):
    with pytest.raises(UserError, match=r"^the loss became nan in epoch 1; lower"):
        trained(config(tiny_set, learning_rate=1e30), tmp_path)
    assert not list(tmp_path.iterdir())
