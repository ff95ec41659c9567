"""A killed training continues, and ends with the bits of one that was never interrupted."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tcmbench.training import loop
from tcmbench.training.checkpoint import NAME, fingerprint
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tiny_data import config, margins

CPU = torch.device("cpu")
DOOR = Path(__file__).parents[1] / "src/train.py"
EPOCHS = 8


@pytest.fixture(scope="module")
def values(tiny_set):
    return config(tiny_set, **margins(), epochs=EPOCHS, milestones=[3, 6])


@pytest.fixture(scope="module")
def weights(values, tmp_path_factory):
    """The bytes of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    train(Settings.from_json(values), folder, CPU)
    assert not (folder / NAME).exists()
    return (folder / "model.safetensors").read_bytes()


def command(values, folder, *more):
    file = folder.parent / "config.json"
    file.write_text(json.dumps(values))
    words = [sys.executable, DOOR, "--config", file, "--out", folder, "--device", "cpu", *more]
    return [str(word) for word in words]


def killed(values, folder, ready):
    """Start a real training and kill it with SIGKILL once `ready(process)`."""
    process = subprocess.Popen(command(values, folder), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not ready(process):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "run.json").exists()


def resumed(values, folder, capsys):
    """Train on in this process; return what it said."""
    capsys.readouterr()
    train(Settings.from_json(values), folder, CPU, resume=True)
    assert [path.name for path in sorted(folder.iterdir())] == ["model.safetensors", "run.json"]
    return capsys.readouterr().err.splitlines()


def test_killed_after_an_epoch(values, weights, tmp_path):
    folder = tmp_path / "run"

    def ready(process):
        # The line comes before the checkpoint is written.
        return process.stderr.readline().startswith("epoch") and wait_for(folder / NAME)

    killed(values, folder, ready)
    done = subprocess.run(
        command(values, folder, "--resume"), capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) < EPOCHS
    assert lines[-1].startswith(f"epoch {EPOCHS} of {EPOCHS}: total ")
    assert (folder / "model.safetensors").read_bytes() == weights
    assert not (folder / NAME).exists()


def wait_for(path):
    while not path.exists():
        time.sleep(0.001)
    return True


def test_killed_before_the_first_checkpoint(values, weights, tmp_path, capsys):
    folder = tmp_path / "run"
    killed(values, folder, lambda process: folder.exists())
    assert len(resumed(values, folder, capsys)) == EPOCHS
    assert (folder / "model.safetensors").read_bytes() == weights


def stopped(monkeypatch, values, folder, after):
    """Train in this process and break off after `after` epochs, their checkpoint written."""
    save = loop.checkpoint.save

    def last(folder, stamp, epoch, parts, curve):
        save(folder, stamp, epoch, parts, curve)
        if epoch == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoint, "save", last)
        with pytest.raises(KeyboardInterrupt):
            train(Settings.from_json(values), folder, CPU)


@pytest.mark.parametrize("after", [1, 3, 7, EPOCHS])
def test_every_point_of_interruption(values, weights, tmp_path, monkeypatch, capsys, after):
    stopped(monkeypatch, values, tmp_path, after)
    # What a kill leaves that strikes while a checkpoint is written.
    (tmp_path / ".last.abc.ckpt").write_bytes(b"half")
    assert len(resumed(values, tmp_path, capsys)) == EPOCHS - after
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    record = json.loads((tmp_path / "run.json").read_text())
    assert len(record["loss_curve"]) == EPOCHS
    # The time before the interruption counts.
    assert record["wall_time_s"] >= sum(epoch["seconds"] for epoch in record["epochs"]) - 1e-3


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def foreign(path):
    torch.save({"epoch": 3}, path)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "is damaged"),
        (empty, "is damaged"),
        (foreign, "belongs to other settings, inputs or code; starting over"),
    ],
)
def test_unusable_checkpoint(values, weights, tmp_path, monkeypatch, capsys, harm, said):
    stopped(monkeypatch, values, tmp_path, 1)
    harm(tmp_path / NAME)
    lines = resumed(values, tmp_path, capsys)
    assert lines[0].startswith(f"{tmp_path / NAME} {said}")
    assert sum(line.startswith("epoch") for line in lines) == EPOCHS
    assert (tmp_path / "model.safetensors").read_bytes() == weights


def test_checkpoint_of_other_settings_is_not_used(
    values, weights, tiny_set, tmp_path, monkeypatch, capsys
):
    stopped(monkeypatch, config(tiny_set, **margins(), epochs=EPOCHS, seed=1), tmp_path, 2)
    lines = resumed(values, tmp_path, capsys)
    assert lines[0] == (
        f"{tmp_path / NAME} belongs to other settings, inputs or code; starting over"
    )
    assert (tmp_path / "model.safetensors").read_bytes() == weights


def test_without_resume_a_checkpoint_is_ignored(values, weights, tmp_path, monkeypatch, capsys):
    stopped(monkeypatch, values, tmp_path, 2)
    capsys.readouterr()
    train(Settings.from_json(values), tmp_path, CPU)
    assert len(capsys.readouterr().err.splitlines()) == EPOCHS
    assert (tmp_path / "model.safetensors").read_bytes() == weights


def test_fingerprint_covers_manifest_weights_and_the_source_of_the_loss(tiny_set, tmp_path):
    files = {name: tmp_path / name for name in ("train.csv", "start.safetensors", "mine.py")}
    for name, file in files.items():
        file.write_text(f"# {name}\n")
    loss = {"name": "mine", "params": {}, "file": str(files["mine.py"])}
    changes = {"weights": str(files["start.safetensors"]), "loss": loss}
    settings = Settings.from_json(config(tmp_path, **changes))
    stamps = {fingerprint(settings)}
    for file in files.values():
        file.write_text(file.read_text() + "# changed\n")
        stamps.add(fingerprint(settings))
    assert len(stamps) == 4
    assert fingerprint(settings) in stamps
