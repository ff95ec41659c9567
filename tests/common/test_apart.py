"""No command writes over what it reads, or writes one file twice: refused before anything else."""

import argparse
import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tcmbench.common.errors import UserError
from tcmbench.common.paths import keep_apart
from tests.paths import SRC
from tests.tables.run_folders import CUB, write_pair

READ = "is read and would be overwritten; give the output another name"
TWICE = "is named for two outputs; give each a name of its own"

# Where no two names can meet: no input, a file that is edited in place, or folders in which what is
# read and what is written are called differently.
NOTHING_TO_MEET = {
    *("check_links", "check_runs", "miniature", "config_table", "entries", "figures"),
    *("licences", "margins", "tune"),
}

# By command: arguments, and the file that two of them name.
CASES = [
    ("evaluate", "--embeddings e.npz --out e.npz", "e.npz", READ),
    ("evaluate", "--embeddings e.npz --out ./sub/../e.npz", "e.npz", READ),
    ("evaluate", "--embeddings e.npy --labels l.npy --out m.json --classes l.npy", "l.npy", READ),
    ("evaluate", "--embeddings e.npz --out m.json --utility m.json", "m.json", TWICE),
    ("evaluate", "--embeddings e.npz --out m.json --curves u --utility u", "u", TWICE),
    ("threshold", "--embeddings threshold.json --far 0.01 --out .", "threshold.json", READ),
    ("threshold", "--embeddings e.npz --names threshold.html --far 0.01 --out .", ".html", READ),
    ("threshold", "--embeddings classes.csv --far 0.01 --out .", "classes.csv", READ),
    ("threshold", "--embeddings e.npz --far 0.01 --apply applied.csv --out .", "applied", READ),
    ("folds", "--manifest m/train.csv --fold 1 --of 2 --out m", "train.csv", READ),
    ("embed", "--timm t --weights w.npz --folder . --out w.npz", "w.npz", READ),
    ("photos", "--name n --table m/train.csv --out m", "train.csv", READ),
    ("plan", "--gpu H100 --csv config.yaml", "config.yaml", READ),
    ("plan", "--gpu H100 --rates steps.csv --csv steps.csv", "steps.csv", READ),
    ("plan", "--gpu H100 --csv results/reference/steps_h100.csv", "steps_h100.csv", READ),
    ("preflight", "--device cpu --csv config.yaml", "config.yaml", READ),
    ("weights", "--timm t --file w.safetensors --out w.safetensors", "w.safetensors", READ),
    ("weights", "--timm t --file w.json --out w.safetensors", "w.json", READ),
    ("weights", "--timm t --out w.json", "w.json", TWICE),
    ("view", "--manifest m.csv --images . --out m.csv", "m.csv", READ),
    ("view", "--manifest m.csv --images . --out a.jpg", "a.jpg", READ),
    ("view", "--manifest m.csv --images . --out v.json", "v.json", TWICE),
    ("embed", "--run run --manifest m.csv --images . --out run/model.safetensors", "model", READ),
    ("embed", "--run run --manifest m.csv --images . --out m.csv", "m.csv", READ),
    ("embed", "--run run --manifest m.csv --images . --view v.npy --out v.json", "v.json", READ),
    ("train", "--config run/run.json --out run", "run.json", READ),
    ("train", "--config c.json --out run", "model.safetensors", READ),
    ("aggregate", "--suite s --out tables --paper tables/runs.csv {runs}", "runs.csv", READ),
    ("aggregate", "--suite s --out tables --published tables/comparisons.csv {runs}", "", READ),
    ("claims", "--tables tables --out tables --pareto tables/claims.json", "claims.json", READ),
    ("page", "--suite s --comparisons p.html --out p.html {runs}", "p.html", READ),
    ("page", "--suite s --out {runs}/metrics.json {runs}", "metrics.json", READ),
    ("page", "--suite s --captions . --out u.rst {runs}", "u.rst", READ),
    ("page", "--suite s --entry entry T --out entry/metrics.json {runs}", "metrics.json", READ),
    ("prepare", "--dataset mnist --archives a --out o --expect o/images.json", "images.json", READ),
    ("prepare", "--dataset mnist --archives a --out o --skip-unreadable o/test.csv", "", READ),
    ("download", "--dataset mnist --out a --expect e.json --trusted e.json", "e.json", READ),
    ("download", "--dataset cub --out a --trusted a/CUB_200_2011.tgz", ".tgz", TWICE),
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fill the working directory with inputs, and return the folder of a measured run."""
    monkeypatch.chdir(tmp_path)
    (run, *_) = write_pair(tmp_path / "runs", CUB)
    names = "threshold.json threshold.html w.safetensors w.json v.npy v.json p.html u.rst a.jpg"
    names += " tables/runs.csv tables/comparisons.csv tables/claims.json entry/metrics.json"
    names += " run/run.json run/model.safetensors o/images.json o/test.csv e.json"
    names += " results/reference/steps_h100.csv steps.csv config.yaml"
    names += " m/train.csv w.npz classes.csv applied.csv"
    for name in names.split():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        Path("a").mkdir(exist_ok=True)
        Path(f"a/{name}-ubyte.gz").write_bytes(b"")
    Path("sub").mkdir()
    Path("m.csv").write_text("path,label,class_name\na.jpg,0,a\n")
    np.savez("e.npz", embeddings=np.eye(4, dtype="f4"), labels=np.array([0, 0, 1, 1]))
    np.save("e.npy", np.eye(4, dtype="f4"))
    np.save("l.npy", np.array([0, 0, 1, 1]))
    settings = json.loads((run / "run.json").read_text())
    assert "config" in settings
    Path("c.json").write_text(json.dumps(SETTINGS))
    Path("run/run.json").write_text(json.dumps({"config": SETTINGS}))
    return str(run.relative_to(tmp_path))


SETTINGS = {
    "dataset": "cub",
    "backbone": "test_resnet",
    "variant": "base",
    "scale": "miniature",
    "seed": 0,
    "manifest": "m.csv",
    "images": ".",
    "weights": "run/model.safetensors",
    "model": {
        "timm": "test_resnet",
        "embedding_size": 8,
        "pooling": "gem",
        "layer_norm": True,
        "freeze_batch_norm": True,
        "model_args": {},
    },
    "view": {"resize": 36, "crop": 32, "crop_scale": [0.7, 1.0], "flip": 0.0},
    "optimization": {
        "batch_size": 4,
        "samples_per_class": 2,
        "epochs": 1,
        "milestones": [],
        "gamma": 0.3,
        "learning_rate": 0.001,
        "weight_decay": 0.0,
        "optimizer": "adam",
    },
    "loss": {"name": "smooth_ap", "params": {}},
    "regularizer": None,
}


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize(("command", "arguments", "named", "sentence"), CASES)
def test_refused_before_anything_is_written(files, command, arguments, named, sentence):
    before = contents()
    with pytest.raises(UserError) as error:
        call(command, arguments.format(runs=files))
    assert named in str(error.value)
    assert sentence in str(error.value)
    assert contents() == before


def call(command: str, arguments: str) -> None:
    door = importlib.import_module(command)
    parsed: argparse.Namespace = door.parser().parse_args(arguments.split())
    door.command(parsed)


def test_every_command_is_tried():
    doors = {path.stem for path in SRC.glob("*.py")}
    assert {command for command, *_ in CASES} | NOTHING_TO_MEET == doors


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_are_followed(tmp_path, link):
    (tmp_path / "a").write_text("kept")
    link(tmp_path / "a", tmp_path / "b")
    sentence = f"{tmp_path}/b, the same file as {tmp_path}/a, "
    with pytest.raises(UserError, match=sentence + READ.partition(";")[0]):
        keep_apart([tmp_path / "b"], [tmp_path / "a"])
    with pytest.raises(UserError, match=sentence + TWICE.partition(";")[0]):
        keep_apart([tmp_path / "a", None, tmp_path / "b"])


def test_a_linked_folder_is_followed_for_files_that_are_not_there(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with pytest.raises(UserError, match="is named for two outputs"):
        keep_apart([tmp_path / "folder/a", tmp_path / "link/a"])


def test_files_of_equal_content_and_absent_inputs_are_apart(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("same")
    keep_apart([tmp_path / "a", tmp_path / "c", None], [tmp_path / "b", None, tmp_path / "absent"])
