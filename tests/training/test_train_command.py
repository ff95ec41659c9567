"""What `train.py` says to bad input: one line, exit code 2, no weights."""

import io
import json

import pytest

import train as door
from tcmbench.training.objective import Objective
from tcmbench.training.settings import Settings
from tests.training.tiny_data import config, exit_code, margins


def call(tmp_path, values, out=None):
    file = tmp_path / "config.json"
    file.write_text(values if isinstance(values, str) else json.dumps(values))
    return exit_code(door, "--config", file, "--out", out or tmp_path / "run", "--device", "cpu")


def said(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def without(values, part, key):
    del (values[part] if part else values)[key]
    return values


def extended(values, part, **more):
    (values[part] if part else values).update(more)
    return values


CASES = {
    "unknown key": (
        lambda c: extended(c(), "optimization", epoch=3),
        "optimization has an unknown key 'epoch'; did you mean 'epochs'?",
    ),
    "unknown key at the top": (
        lambda c: extended(c(), None, sed=3),
        "training configuration has an unknown key 'sed'; did you mean 'seed'?",
    ),
    "missing key": (
        lambda c: without(c(), "model", "pooling"),
        "model lacks the key 'pooling'; add it",
    ),
    "missing part": (
        lambda c: without(c(), None, "view"),
        "training configuration lacks the key 'view'; add it",
    ),
    "part that is no object": (
        lambda c: extended(c(), None, view=7),
        "view must be an object with keys, not 7",
    ),
    "text for a number": (
        lambda c: c(learning_rate="1e-3"),
        "optimization: 'learning_rate' must be float, not '1e-3'; correct it",
    ),
    "three ends of a range": (
        lambda c: c(crop_scale=[0.1, 0.2, 0.3]),
        "view: 'crop_scale' must be tuple[float, float], not [0.1, 0.2, 0.3]; correct it",
    ),
    "no epochs": (
        lambda c: c(epochs=0),
        "optimization: 'epochs' must be at least 1, not 0; raise it",
    ),
    "negative seed": (
        lambda c: c(seed=-1),
        "the seed must be at least 0, not -1; choose another",
    ),
    "unknown optimizer": (
        lambda c: c(optimizer="sgd"),
        "optimizer 'sgd' is unknown; use one of adam, adamw",
    ),
    "unknown loss": (
        lambda c: c(loss={"name": "smooth_pa", "params": {}}),
        "there is no loss 'smooth_pa'; did you mean 'smooth_ap'?",
    ),
    "misspelt margin": (
        lambda c: c(regularizer={"margin_postive": 0.9}),
        "the regularizer has no parameter 'margin_postive'; did you mean 'margin_positive'?",
    ),
    "margin that is no cosine": (
        lambda c: c(regularizer={"margin_positive": 90}),
        "margin_positive must be a number between -1 and 1, not 90; correct it",
    ),
    "precision that is none": (
        lambda c: c(precision="bfloat"),
        "compute: precision 'bfloat' is unknown; did you mean 'bfloat16'?",
    ),
    "batch without positives": (
        lambda c: c(samples_per_class=1),
        "optimization: 'samples_per_class' must be at least 2, not 1; raise it",
    ),
    "batch that does not divide": (
        lambda c: c(batch_size=13),
        "batch_size 13 is not a multiple of samples_per_class 3; change one of them in the recipe",
    ),
    "no manifest": (
        lambda c: c(manifest="no.csv"),
        "no.csv does not exist; make it with src/prepare.py",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_configuration(tiny_set, tmp_path, capsys, case):
    change, sentence = CASES[case]
    values = change(lambda **changes: config(tiny_set, **changes))
    assert call(tmp_path, values) == 2
    assert said(capsys) == sentence
    assert not (tmp_path / "run/model.safetensors").exists()
    assert not (tmp_path / "run/run.json").exists()


def test_configuration_that_is_no_json(tmp_path, capsys, monkeypatch):
    assert call(tmp_path, "{") == 2
    assert said(capsys).startswith(f"{tmp_path}/config.json is not valid JSON (")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{")))
    assert exit_code(door, "--config", "-", "--out", tmp_path / "run") == 2
    assert said(capsys).startswith("standard input is not valid JSON (")


def test_configuration_from_standard_input(tiny_set, tmp_path, monkeypatch):
    piped = io.TextIOWrapper(io.BytesIO(json.dumps(config(tiny_set, epochs=1)).encode()))
    monkeypatch.setattr("sys.stdin", piped)
    assert exit_code(door, "--config", "-", "--out", tmp_path, "--device", "cpu") == 0
    assert (tmp_path / "model.safetensors").exists()


def test_folder_that_cannot_be(tiny_set, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert call(tmp_path, config(tiny_set), tmp_path / "file/run") == 2
    sentence = (
        f"Not a directory: {tmp_path}/file/run; check that the path exists and can be written"
    )
    assert said(capsys) == sentence


def test_missing_image(tiny_set, tmp_path, capsys):
    assert call(tmp_path, config(tiny_set, images=str(tmp_path))) == 2
    assert said(capsys).startswith(f"image {tmp_path}/1")
    assert not (tmp_path / "run/model.safetensors").exists()


def test_settings_survive_json(tiny_set):
    values = config(tiny_set, **margins())
    settings = Settings.from_json(json.loads(json.dumps(values)))
    assert json.loads(json.dumps(settings.to_json())) == values
    assert Settings.from_json({"config": settings.to_json(), "seed": 9}) == settings
    assert Objective(settings.loss, settings.regularizer).tcm.margin_negative == 0.5
    # Configurations from before there was a choice of precision still hold.
    del values["compute"], values["optimization"]["kept_chunks"]
    assert Settings.from_json(values) == settings
