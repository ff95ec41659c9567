"""Whole trainings of a tiny network: the same bits again, fair pairs, and what goes wrong."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import train as door
from tcmbench.common.errors import UserError
from tcmbench.images.loading import Draw, TrainingView
from tcmbench.images.manifests import read_manifest
from tcmbench.models.network import EmbeddingModel, save_tensors
from tcmbench.training import engine
from tcmbench.training.data import TrainingData
from tcmbench.training.loop import Training, train
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop
from tests.training import tiny_data
from tests.training.tiny_data import config, exit_code, margins


def trained(values, folder):
    train(Settings.from_json(values), folder, "cpu")
    return (folder / "model.safetensors").read_bytes()


def test_seed_decides_every_bit(tiny_set, tmp_path):
    first = trained(config(tiny_set), tmp_path / "first")
    torch.manual_seed(99)
    assert trained(config(tiny_set), tmp_path / "second") == first
    assert trained(config(tiny_set, seed=1), tmp_path / "third") != first


def test_run_json_is_a_configuration_that_gives_the_same_weights(
    tiny_set, tmp_path, capsys, monkeypatch
):
    # A record holds paths below the working directory, and no others.
    monkeypatch.chdir(tmp_path.parent)
    weights = trained(config(tiny_set, **margins(), epochs=2), tmp_path / "first")
    record = tmp_path / "first/run.json"
    assert exit_code(door, "--config", record, "--out", tmp_path / "again", "--device", "cpu") == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights
    lines = capsys.readouterr().err.splitlines()
    # Two epochs, trained twice.
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"] * 2
    assert json.loads(record.read_text())["config"]["regularizer"]["margin_positive"] == 0.9


def training(values, folder):
    return Training(Settings.from_json(values), folder, "cpu")


@pytest.fixture
def seen(monkeypatch):
    """Every batch that reaches the gradient."""
    batches = []

    def recorded(model, objective, images, labels, *more):
        batches.append((images.clone(), labels.clone()))
        return original(model, objective, images, labels, *more)

    original = engine.backward
    monkeypatch.setattr(engine, "backward", recorded)
    return batches


def test_base_and_tcm_start_alike_and_see_the_same_pixels(tiny_set, seen, tmp_path):
    starts, finals, batches = [], [], []
    for changes in ({}, margins()):
        run = training(config(tiny_set, epochs=2, **changes), tmp_path)
        starts.append({k: v.clone() for k, v in run.engine.model.state_dict().items()})
        run.run(Stop())
        finals.append(run.engine.model.state_dict()["project.weight"])
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


@pytest.mark.parametrize("part", [12, 5])
def test_labels_belong_to_the_pixels_and_no_augmentation_repeats(
    tiny_set, seen, monkeypatch, tmp_path, part
):
    drawn = []
    original = TrainingView.__getitems__
    monkeypatch.setattr(
        TrainingView,
        "__getitems__",
        lambda view, draws: (drawn.extend(draws), original(view, draws))[1],
    )
    monkeypatch.setattr("tcmbench.training.data.LOADED_AT_ONCE", part)
    run = training(config(tiny_set, epochs=2), tmp_path)
    run.run(Stop())
    monkeypatch.setattr(TrainingView, "__getitems__", original)
    items = read_manifest(tiny_set / "train.csv")
    # The classes are 10 to 17, and are numbered from 0.
    classes = [items[d.row].label - 10 for d in drawn]
    assert torch.cat([labels for _, labels in seen]).tolist() == classes
    view = TrainingView([tiny_set / item.path for item in items], run.settings.view)
    pixels = torch.cat([images for images, _ in seen])
    assert torch.equal(pixels, torch.stack([view[Draw(d.row, d.seed)] for d in drawn]))
    assert len({d.seed for d in drawn}) == len(drawn) == 2 * 12 * tiny_data.BATCHES


def test_schedule_and_optimizer_are_those_of_the_settings(tiny_set, monkeypatch, tmp_path):
    run = training(config(tiny_set, optimizer="adamw"), tmp_path)
    assert isinstance(run.engine.optimizer, torch.optim.AdamW)
    (group,) = run.engine.optimizer.param_groups
    rates = []
    step = run.engine.step
    monkeypatch.setattr(run.engine, "step", lambda *a: (rates.append(group["lr"]), step(*a))[1])
    run.run(Stop())
    # The milestone is 2, gamma 0.3.
    assert rates[:: tiny_data.BATCHES] == pytest.approx([1e-3, 1e-3, 3e-4])
    assert rates[3 :: tiny_data.BATCHES] == pytest.approx([1e-3, 1e-3, 3e-4])
    assert group["weight_decay"] == 4e-4
    assert len(group["params"]) == len(list(run.engine.model.parameters()))


def test_start_weights_go_into_the_backbone(tiny_set, tmp_path):
    settings = Settings.from_json(config(tiny_set, seed=5))
    torch.manual_seed(123)
    backbone = EmbeddingModel(settings.model).backbone
    save_tensors(backbone, tmp_path / "start.safetensors")
    values = config(tiny_set, seed=5, weights=str(tmp_path / "start.safetensors"))
    found = training(values, tmp_path).engine.model.backbone.state_dict()
    for name, value in backbone.state_dict().items():
        assert torch.equal(found[name], value)


def test_training_learns(tiny_set, tmp_path):
    trained(config(tiny_set, epochs=12, milestones=[], learning_rate=3e-3), tmp_path)
    curve = json.loads((tmp_path / "run.json").read_text())["loss_curve"]
    assert np.mean(curve[-3:]) < 0.9 * curve[0]


def test_mixed_precision_trains_other_weights_of_the_same_type(tiny_set, tmp_path):
    exact = trained(config(tiny_set, epochs=2), tmp_path / "exact")
    mixed = trained(config(tiny_set, epochs=2, precision="bfloat16"), tmp_path / "mixed")
    assert mixed != exact
    assert trained(config(tiny_set, epochs=2, precision="bfloat16"), tmp_path / "again") == mixed
    weights = load_file(tmp_path / "mixed/model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}
    curves = [
        json.loads((tmp_path / name / "run.json").read_text())["loss_curve"]
        for name in ("exact", "mixed")
    ]
    assert curves[0] == pytest.approx(curves[1], rel=0.1)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_kept_chunks_and_cores_give_the_same_bits(tiny_set, tmp_path, monkeypatch):
    def weights(name, **changes):
        return trained(config(tiny_set, epochs=2, chunk_size=5, **changes), tmp_path / name)

    first = weights("first")
    assert weights("kept", kept_chunks=1) == first
    monkeypatch.setattr("tcmbench.training.data.LOADED_AT_ONCE", 5)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)  # three processes load images
    try:
        together = batches_of(config(tiny_set), tmp_path)
    finally:
        torch.set_num_threads(threads)
    alone = batches_of(config(tiny_set), tmp_path)
    for found, expected in zip(together, alone, strict=True):
        assert torch.equal(found[1], expected[1])
        assert torch.equal(found[2], expected[2])


def batches_of(values, folder):
    return list(training(values, folder).data.batches(0, 0, torch.device("cpu")))


def test_batches_can_start_anywhere(tiny_set, tmp_path, monkeypatch):
    monkeypatch.setattr("tcmbench.training.data.LOADED_AT_ONCE", 5)
    values = config(tiny_set)
    whole = batches_of(values, tmp_path)
    assert [(batch.epoch, batch.step) for batch, _, _ in whole] == [
        (epoch, step) for epoch in range(3) for step in range(tiny_data.BATCHES)
    ]
    assert [batch.last for batch, _, _ in whole] == [False, False, False, True] * 3
    data = training(values, tmp_path).data
    rest = list(data.batches(1, 2, torch.device("cpu")))
    assert len(rest) == 6
    for (batch, images, labels), (other, same_images, same_labels) in zip(
        rest, whole[6:], strict=True
    ):
        assert (batch.epoch, batch.step) == (other.epoch, other.step)
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
    assert list(data.batches(3, 0, torch.device("cpu"))) == []


def test_a_loss_that_is_not_finite_leaves_no_weights(tiny_set, tmp_path):
    with pytest.raises(UserError) as error:
        trained(config(tiny_set, learning_rate=1e30), tmp_path)
    settings = Settings.from_json(config(tiny_set))
    data = TrainingData(settings)
    items = [data.items[row] for row in data.plan(0)[1]]
    classes = list(dict.fromkeys(item.label for item in items))
    # The first step's loss is that of the initial weights.
    assert str(error.value) == (
        f"the loss became nan in epoch 1, step 2 (classes {classes[0]}, {classes[1]}, "
        f"{classes[2]} and 1 more; images {items[0].path}, {items[1].path}, {items[2].path} and 9 "
        "more); lower the learning rate of smooth_ap with test_resnet in config.yaml"
    )
    assert {path.name for path in tmp_path.iterdir()} == {".training.lock", "log.csv"}
