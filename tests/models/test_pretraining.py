"""Start weights: from training scans alone, the same each time, better than chance."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

import weights as door
from tcmbench.miniatures.scans import scans
from tcmbench.models import pretraining
from tcmbench.models.backbones import create_backbone
from tcmbench.models.network import load_tensors
from tcmbench.models.pretraining import NO_DIGIT, pretrain, training_numbers
from tests.paths import SRC
from tests.training.tiny_data import exit_code

DOOR = SRC / "weights.py"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(pretraining, "IMAGES", 128)
    monkeypatch.setattr(pretraining, "EPOCHS", 1)


def by_content(split):
    return {scan.tobytes(): n for scan, n in zip(*scans(split), strict=True)}


def test_only_training_scans_are_drawn(small, monkeypatch):
    drawn = []
    original = pretraining.compose
    monkeypatch.setattr(
        pretraining,
        "compose",
        lambda scans, *more: (drawn.append(scans), original(scans, *more))[1],
    )
    images, digits = training_numbers()
    assert images.shape == (128, 3, 32, 32)
    assert images.dtype == torch.uint8
    train, test = by_content("train"), by_content("test")
    assert not train.keys() & test.keys()
    # Each image carries the names of its digits, at the places of a two- or three-digit number.
    for shown, named in zip(drawn, digits.tolist(), strict=True):
        names = [train[scan.tobytes()] for scan in shown]
        places = {2: named[:2], 3: named[2:]}
        assert places.pop(len(names)) == names
        assert set(*places.values()) == {NO_DIGIT}
    assert set(digits.flatten().tolist()) == {*range(10), NO_DIGIT}


def test_weights_are_the_same_again_and_fit_the_backbone(small, tmp_path):
    for name in ("a", "b"):
        pretrain("test_resnet", {}, tmp_path / f"{name}.safetensors")
        torch.manual_seed(77)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    backbone = create_backbone("test_resnet", {})
    load_tensors(backbone, tmp_path / "a.safetensors")


def test_pretraining_learns(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretraining, "IMAGES", 768)
    monkeypatch.setattr(pretraining, "EPOCHS", 5)
    record = pretrain("test_resnet", {}, tmp_path / "start.safetensors")
    accuracies = [float(line.split()[-1]) for line in capsys.readouterr().err.splitlines()]
    assert len(accuracies) == 5
    assert accuracies[-1] == pytest.approx(record["training_accuracy"], abs=5e-4)
    # Chance is 0.1.
    assert record["training_accuracy"] > max(0.2, accuracies[0])


def test_command_records_what_it_made(small, tmp_path):
    out = tmp_path / "vit.safetensors"
    arguments = '{"img_size": 32, "patch_size": 8}'
    code = exit_code(
        door, *("--timm", "test_vit", "--model-args", arguments), "--source", "digits", "--out", out
    )
    assert code == 0
    record = json.loads((tmp_path / "vit.json").read_text())
    assert record["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert record["timm"] == "test_vit"
    assert record["model_args"] == {"img_size": 32, "patch_size": 8}
    assert record["images"] == 128
    # 32 / 8 patches a side and the class token.
    assert load_file(out)["pos_embed"].shape[1] == 17
