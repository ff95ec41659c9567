"""`run.json`: everything that a number of a run comes from."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tcmbench.common.provenance
from tcmbench.common.errors import UserError
from tcmbench.common.provenance import provenance
from tcmbench.models.backbones import create_backbone
from tcmbench.models.network import save_tensors
from tcmbench.training.loop import train
from tcmbench.training.record import data_identity
from tcmbench.training.settings import Settings
from tests.paths import ROOT, SRC
from tests.training.tiny_data import BATCHES, config, margins


def sha(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_tensors(create_backbone("test_resnet", {}), path)
    return path


@pytest.fixture(scope="module")
def run(tiny_set, start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    values = config(tiny_set, **margins(), seed=4, weights=str(start))
    train(Settings.from_json(values), folder, "cpu")
    return folder


def test_inputs_and_outputs_are_named_by_their_hashes(run, tiny_set, start):
    record = json.loads((run / "run.json").read_text())
    given = config(tiny_set, **margins(), seed=4, weights=str(start))
    # Where they lie is nobody's business.
    places = {"manifest": ".../train.csv", "weights": ".../start.safetensors"}
    assert record["config"] == {**given, **places, "images": f".../{tiny_set.name}"}
    assert record["seed"] == 4
    assert record["data"] == {
        "manifest": ".../train.csv",
        "sha256": sha(tiny_set / "train.csv"),
    }
    assert record["initial_weights_sha256"] == sha(start)
    assert record["weights_sha256"] == sha(run / "model.safetensors")


def test_a_record_without_places_is_refused_as_settings(run):
    record = json.loads((run / "run.json").read_text())
    with pytest.raises(UserError) as error:
        Settings.from_json(record)
    assert "does not tell the place of 'manifest' (.../train.csv); write" in str(error.value)


def test_what_prepare_noted_of_the_images_is_kept(tmp_path):
    manifest = tmp_path / "train.csv"
    manifest.write_text("path,label,class_name\n")
    bare = {"manifest": str(manifest), "sha256": sha(manifest)}
    assert data_identity(manifest) == bare
    noted = {
        "layout": "devkit",
        "image_cache": {"short_side": 256},
        "archives": {"a.tgz": {"bytes": 1, "sha256": "ab"}},
        "unreadable": {"1.jpg": "image file is truncated"},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(noted | {"counts": {}}))
    assert data_identity(manifest) == bare | noted


def test_course_of_the_training(run):
    record = json.loads((run / "run.json").read_text())
    curve = record["loss_curve"]
    assert len(curve) == len(record["epochs"]) == 3
    for total, epoch in zip(curve, record["epochs"], strict=True):
        assert epoch["total"] == total
        assert total == pytest.approx(epoch["base"] + epoch["tcm"], abs=1e-6)
        assert epoch["images"] == 12 * BATCHES
    seconds = sum(epoch["seconds"] for epoch in record["epochs"])
    assert record["wall_time_s"] >= seconds - 1e-3
    # The steps that are not for warming up took no longer than all.
    assert record["warm_up_steps"] == 5
    timed = 12 * (3 * BATCHES - 5)
    assert record["images_per_second"] >= timed / seconds - 0.1
    assert record["steps"] == 3 * BATCHES
    assert (record["precision"], record["compile"]) == ("float32", False)
    assert record["active_pairs"] == {
        name: record["epochs"][-1][name] for name in ("active_positive", "active_negative")
    }
    assert all(0 <= share <= 1 for share in record["active_pairs"].values())
    assert record["unused"] == {"classes": 0, "images": 0}
    # A process with torch holds some hundred MB; bytes or kB taken for MB would not fit.
    assert 100 < record["peak_memory_mb"] < 20_000
    assert record["device"] == "cpu"
    assert record["num_threads"] == 1


def test_the_peak_of_memory_is_not_that_of_the_process_that_started_this_one():
    held = np.ones(1 << 27)  # 1 GB
    child = "import torch; from tcmbench.training.course import peak_memory_mb as peak; "
    command = [sys.executable, "-c", child + "print(peak(torch.device('cpu')))"]
    done = subprocess.run(command, cwd=SRC, capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < held.nbytes / 1e6


def test_code_packages_and_machine(run):
    record = json.loads((run / "run.json").read_text())
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert {"timm", "torchvision", "numpy", "pillow"} <= record["packages"].keys()
    assert record["hardware"]["cpu_count"] >= 1
    assert {"platform", "cpu", "gpu"} <= record["hardware"].keys()
    git = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    if git.returncode == 0:
        assert record["git"]["commit"] == git.stdout.strip()
        assert isinstance(record["git"]["dirty"], bool)
    else:
        assert record["git"] is None


def repository(folder):
    """Make a git repository with one commit around a file; return its commit."""
    (folder / "code.py").write_text("1\n")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)
    found = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_git_clean_and_dirty(tmp_path, monkeypatch):
    monkeypatch.setattr(tcmbench.common.provenance, "__file__", str(tmp_path / "code.py"))
    assert provenance()["git"] is None  # no repository
    commit = repository(tmp_path)
    assert provenance()["git"] == {"commit": commit, "dirty": False}
    (tmp_path / "code.py").write_text("2\n")
    assert provenance()["git"] == {"commit": commit, "dirty": True}


def test_no_git_and_no_package_is_not_fatal(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tcmbench.common.provenance, "PACKAGES", ("numpy", "no-such-package"))
    found = provenance()
    assert found["git"] is None
    assert found["packages"]["no-such-package"] is None
    assert found["packages"]["numpy"]
