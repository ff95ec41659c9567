"""timm models as they are: weights of any checkpoint, timm's own preprocessing."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

import embed as door
import evaluate
from tcmbench.common.errors import UserError
from tcmbench.models.plain import plain_model
from tests.photos.albums import write_album
from tests.training.tiny_data import exit_code

NAME = "test_resnet.r160_in1k"


def network(**options):
    torch.manual_seed(0)
    return timm.create_model(NAME, pretrained=False, **options)


TENSORS = network(num_classes=0).state_dict()


def prefixed(prefix, more=()):
    return {prefix + name: value for name, value in TENSORS.items()} | dict(more)


CHECKPOINTS = {
    "plain": TENSORS,
    "with another classifier": prefixed("", {"fc.weight": torch.zeros(7, 64)}),
    "of DataParallel": {"state_dict": prefixed("module."), "epoch": 3},
    "of Lightning": {
        "state_dict": prefixed("net.backbone.", {"net.head.weight": torch.zeros(2, 2)}),
        "pytorch-lightning_version": "2",
    },
    "of timm": {"arch": NAME, "state_dict": {}, "state_dict_ema": prefixed("")},
    "of MoCo": {"model": prefixed("encoder_q.", {"encoder_q.fc.0.weight": torch.zeros(2, 2)})},
}


def same(backbone):
    return all(torch.equal(backbone.state_dict()[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_weights_are_found_in_a_checkpoint(kind, tmp_path):
    torch.save(CHECKPOINTS[kind], tmp_path / "last.ckpt")
    model, _ = plain_model(NAME, tmp_path / "last.ckpt")
    assert same(model.backbone)


def test_weights_of_safetensors_by_any_name(tmp_path):
    save_file(prefixed("model."), tmp_path / "weights.bin")
    assert same(plain_model(NAME, tmp_path / "weights.bin")[0].backbone)


class Trap:
    def __reduce__(self):
        return print, ("ran",)


def test_what_is_no_weights_is_refused(tmp_path, capsys):
    def refusal(content):
        path = tmp_path / "weights.pt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(UserError) as error:
            plain_model(NAME, path)
        return str(error.value)

    assert "can run code: save the network's state_dict() alone" in refusal({"state_dict": Trap()})
    assert "ran" not in capsys.readouterr().out
    assert "cannot be opened as weights" in refusal(b"not weights")
    assert f"does not hold the weights of {NAME}" in refusal({"a": torch.zeros(2)})
    lacking = dict(list(TENSORS.items())[:-3])
    assert "it lacks" in refusal(lacking)
    with pytest.raises(UserError, match="does not exist; check the path of the weights"):
        plain_model(NAME, tmp_path / "none.pt")
    with pytest.raises(UserError, match="timm cannot build 'resnot'"):
        plain_model("resnot", tmp_path / "weights.pt")


def test_a_folder_is_embedded_in_one_step_and_evaluated(tmp_path):
    """Against one image at a time by timm's own recipe."""
    album = write_album(tmp_path / "my 📷", ["b", "ä", "zwei Wörter", "一"], 6)
    torch.save(TENSORS, tmp_path / "own.pth")
    out = tmp_path / "e.npz"
    arguments = ["--timm", NAME, "--weights", tmp_path / "own.pth", "--folder", album]
    assert exit_code(door, *arguments, "--out", out, "--device", "cpu") == 0
    model = network(num_classes=0).eval()
    transform = create_transform(**resolve_model_data_config(model))
    with np.load(out) as found:
        assert found["labels"].tolist() == [label for label in range(4) for _ in range(6)]
        assert found["class_names"][::6].tolist() == ["b", "zwei Wörter", "ä", "一"]
        for path, vector in zip(found["paths"], found["embeddings"], strict=True):
            image = transform(Image.open(album / str(path)).convert("RGB"))
            with torch.inference_mode():
                wanted = model(image[None])[0]
            torch.testing.assert_close(
                torch.from_numpy(vector), wanted / wanted.norm(), rtol=0, atol=1e-5
            )
    arguments = ["--embeddings", out, "--out", tmp_path / "metrics.json", "--device", "cpu"]
    assert exit_code(evaluate, *arguments) == 0


def test_bad_pictures_of_a_folder_are_all_named(tmp_path, capsys):
    album = write_album(tmp_path / "album", "ab", 2)
    for name in ("a/x.jpg", "b/y.jpg"):
        (album / name).write_bytes(b"x")
    torch.save(TENSORS, tmp_path / "own.pth")
    arguments = ["--timm", NAME, "--weights", tmp_path / "own.pth", "--folder", album]
    assert exit_code(door, *arguments, "--out", tmp_path / "e.npz") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: 2 pictures of {album} cannot be decoded: a/x.jpg (")
    assert "b/y.jpg" in told


@pytest.mark.parametrize("given", [[], ["--timm", NAME], ["--run", "x", "--timm", NAME]])
def test_one_of_the_two_ways_is_needed(given, tmp_path, capsys):
    assert exit_code(door, *given, "--out", tmp_path / "e.npz") == 2
    assert capsys.readouterr().err.startswith("error: give --run with --manifest and --images, or")
