"""A training with its tensors on a pretended GPU: devices, host waits, random numbers, memory."""

import json

import pytest
import torch
from torch import nn

from tcmbench.common.errors import UserError
from tcmbench.images.loading import normalize
from tcmbench.training import loop, rng
from tcmbench.training.course import Course
from tcmbench.training.data import TrainingData
from tcmbench.training.loop import Watching, train
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec, Settings
from tcmbench.training.step import Passes, backward
from tests.training.tiny_data import BATCHES, config, margins

CUDA = torch.device("cuda", 0)
# No line and no checkpoint but at the end of an epoch.
QUIET = Watching(log_seconds=1e9, checkpoint_minutes=1e9)
CONTRASTIVE = {
    "name": "contrastive",
    "params": {},
    "class_path": "pytorch_metric_learning.losses.ContrastiveLoss",
}
VIT = {
    "timm": "test_vit",
    "pooling": "token",
    "model_args": {"img_size": 32, "patch_size": 8, "drop_path_rate": 0.5},
    "freeze_batch_norm": False,
    "optimizer": "adamw",
}


def trained(values, folder, device="cuda", resume=False, watching=QUIET):
    train(Settings.from_json(values), folder, device, resume, watching)
    return json.loads((folder / "run.json").read_text())


def own_loss(folder, body, **changes):
    """Return the changes that make a configuration train with a loss of a few lines."""
    file = folder / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Mine(nn.Module):\n"
        f"    def forward(self, embeddings, labels):\n        {body}\n"
    )
    return {"loss": {"name": "mine", "params": {}, "file": str(file)}, **changes}


@pytest.fixture
def by_step(rules, monkeypatch):
    """The host's waits of each step of a training, from the loading of its batch on."""
    groups, add = [], Course.add

    def counted(self, terms, images):
        add(self, terms, images)
        groups.append([*rules.waits])
        rules.waits.clear()

    monkeypatch.setattr(Course, "add", counted)
    return groups


@pytest.mark.parametrize("chunk_size", [12, 5], ids=["one pass", "two passes"])
@pytest.mark.parametrize("tcm", [{}, margins()], ids=["base", "tcm"])
@pytest.mark.parametrize("loss", ["smooth_ap", "recall_at_k"])
def test_no_step_waits_for_the_gpu(tiny_set, tmp_path, by_step, loss, tcm, chunk_size):
    values = config(tiny_set, **tcm, chunk_size=chunk_size, epochs=2)
    trained({**values, "loss": {"name": loss, "params": {}}}, tmp_path)
    assert len(by_step) == 2 * BATCHES
    # The first step finds what was set up before it; an epoch's end, what was written.
    assert by_step[1:BATCHES] + by_step[BATCHES + 1 :] == [[]] * (2 * BATCHES - 2)
    places = {line.rpartition(" in ")[2] for line in by_step[BATCHES]}
    # What torch.save copies is copied of a real GPU alone.
    assert places - {"training/checkpoint.py save"} == {
        "training/course.py failure",
        "training/loop.py run",
        "training/course.py end_epoch",
        "training/engine.py is_finite",
    } | ({"training/loop.py _end_epoch"} if tcm else set())


def test_a_loss_that_waits_is_named(tiny_set, tmp_path, by_step):
    changes = own_loss(
        tmp_path, "return embeddings.sum() if embeddings[0, 0] > 5 else embeddings.mean()"
    )
    trained(config(tiny_set, **changes, epochs=1), tmp_path)
    assert [len(waits) for waits in by_step[1:]] == [1] * (BATCHES - 1)
    assert all(line.endswith(" in training/objective.py _base") for (line,) in by_step[1:])


@pytest.mark.parametrize(
    "changes",
    [
        {**margins(), "chunk_size": 5},
        {**margins(), **VIT, "chunk_size": 5},
        {"freeze_batch_norm": False},
        {"loss": CONTRASTIVE},
    ],
    ids=["two passes", "vit", "live batch norm", "package"],
)
def test_devices_are_not_mixed_and_the_loss_is_the_processors(rules, tiny_set, tmp_path, changes):
    values = config(tiny_set, **{**changes, "precision": "float32"}, epochs=1)
    if "model_args" in changes:  # each device would draw its own paths
        values["model"]["model_args"] = {"img_size": 32, "patch_size": 8}
    host = trained(values, tmp_path / "host", "cpu")
    gpu = trained(values, tmp_path / "gpu")
    assert (gpu["device"], gpu["precision"]) == ("cuda:0", "float32")
    assert gpu["loss_curve"] == pytest.approx(host["loss_curve"], rel=1e-3)
    assert gpu["peak_memory_mb"] < 100 < host["peak_memory_mb"]


@pytest.mark.parametrize(
    ("asked", "taken"), [("auto", "tf32_backward"), ("bfloat16", "bfloat16"), ("tf32", "tf32")]
)
def test_the_precision_that_is_taken(rules, tiny_set, tmp_path, asked, taken):
    record = trained(config(tiny_set, epochs=1, precision=asked), tmp_path)
    assert record["precision"] == taken


NOISE = "return (embeddings + 0.1 * torch.randn_like(embeddings)).pow(3).sum()"


def test_a_resumed_training_draws_the_gpus_numbers_on(rules, tiny_set, tmp_path, monkeypatch):
    values = config(tiny_set, **VIT, **own_loss(tmp_path, NOISE), chunk_size=5, epochs=2)
    trained(values, tmp_path / "whole")
    save = loop.checkpoint.save

    def last(folder, parts, state):
        save(folder, parts, state)
        if state["course"]["steps"] == BATCHES + 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoint, "save", last)
        with pytest.raises(KeyboardInterrupt):
            trained(values, tmp_path / "run", watching=Watching(checkpoint_minutes=0))
    rng.seed_all(99)
    trained(values, tmp_path / "run", resume=True)
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()


class Dropping(nn.Module):
    """Two layers with dropout between them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(48, 24), nn.Linear(24, 8)

    def forward(self, images):
        rows = torch.tanh(self.first(images[:, :, :4, :4].flatten(1)))
        return nn.functional.normalize(self.second(nn.functional.dropout(rows, 0.4)), dim=1)


def dropped(kept):
    """Gradients of a step in chunks of 5; `kept` None for one graph over all of them."""
    torch.manual_seed(2)
    images = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8).to(CUDA)
    labels = torch.arange(4).repeat_interleave(3)
    model = Dropping().to(CUDA)
    objective = Objective(LossSpec("recall_at_k", {}), {"margin_positive": 0.9})
    if kept is None:
        rows = torch.cat([model(normalize(chunk)) for chunk in images.split(5)])
        objective(rows, labels)["total"].backward()
    else:
        backward(model, objective, images, labels, Passes(5, kept))
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).cpu()


@pytest.mark.parametrize("kept", [0, 1])
def test_both_passes_draw_the_gpus_same_numbers(rules, kept):
    expected = dropped(None)
    assert expected.abs().max() > 1e-3
    assert torch.allclose(dropped(kept), expected, rtol=0, atol=1e-6)


def test_a_batch_is_held_once(rules, tiny_set, monkeypatch):
    """The peak is the batch and the one part that was last put into it."""
    monkeypatch.setattr("tcmbench.training.data.LOADED_AT_ONCE", 4)
    data = TrainingData(Settings.from_json(config(tiny_set)))
    image = 3 * 32 * 32
    batches = data.batches(0, 0, CUDA)
    _, images, _ = next(batches)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (rules.memory, rules.peak) == (12 * image, 16 * image)
    del images
    assert rules.memory == 0
    expected = [images for _, images, _ in data.batches(0, 1, torch.device("cpu"))]
    for (_, images, _), host in zip(batches, expected, strict=True):
        assert torch.equal(images.cpu(), host)


def test_a_loss_between_two_lines_is_the_cause_that_is_named(
    rules, tiny_set, tmp_path, monkeypatch
):
    """The second loss is infinite; the next look at the GPU is the checkpoint after the third."""
    body = "self.n = getattr(self, 'n', 0) + 1; return embeddings.square().sum() / (self.n != 2)"
    values = config(tiny_set, **own_loss(tmp_path, body))
    monkeypatch.setattr(loop.Training, "_due", lambda training: training.course.steps == 3)
    with pytest.raises(UserError) as error:
        trained(values, tmp_path / "run")
    data = TrainingData(Settings.from_json(values))
    told = data.told(data.plan(0)[1])
    assert str(error.value).startswith(f"the loss became inf in epoch 1, step 2 ({told}); lower")
    assert not (tmp_path / "run/last.ckpt").exists()
