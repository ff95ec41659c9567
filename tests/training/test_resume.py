"""A killed training continues, and ends with the bits of one that was never interrupted."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from tcmbench.training import loop, rng
from tcmbench.training.checkpoint import NAME, differences, identity
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.paths import SRC
from tests.training.tiny_data import BATCHES, config, margins

DOOR = SRC / "train.py"
# A lock that nobody holds stays: to remove it would part those who wait from those who come.
WHOLE = {"log.csv", "model.safetensors", "run.json", ".training.lock"}
EPOCHS = 4
STEPS = EPOCHS * BATCHES

# Draws from every random generator; says when it is called, and then takes its time: that is
# between the two passes of a step.
CHANCY = """
import os, random, time
import numpy as np
import torch
from torch import nn

class Chancy(nn.Module):
    def __init__(self, num_classes, embedding_size):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(num_classes, embedding_size))

    def forward(self, embeddings, labels):
        if "CALLS" in os.environ:
            with open(os.environ["CALLS"], "a") as stream:
                stream.write("called\\n")
            time.sleep(0.3)
        noise = np.random.rand() * torch.randn_like(embeddings) + random.random()
        scores = (embeddings + 0.01 * noise) @ self.centres.T
        return nn.functional.cross_entropy(scores, labels)
"""


@pytest.fixture(scope="module")
def values(tiny_set, tmp_path_factory):
    file = tmp_path_factory.mktemp("loss") / "chancy.py"
    file.write_text(CHANCY)
    loss = {"name": "chancy", "params": {}, "file": str(file)}
    return config(tiny_set, **margins(), loss=loss, epochs=EPOCHS, milestones=[1], chunk_size=5)


@pytest.fixture(scope="module")
def whole(values, tmp_path_factory):
    """The folder of an uninterrupted training, with a row of the log for each step."""
    folder = tmp_path_factory.mktemp("whole")
    watching = loop.Watching(log_seconds=0)
    train(Settings.from_json(values), folder, "cpu", watching=watching)
    assert {path.name for path in folder.iterdir()} == WHOLE
    return folder


def rows(folder):
    """The log without what times and memory differ in."""
    with (folder / "log.csv").open(newline="") as stream:
        return [list(row.values())[:-3] for row in csv.DictReader(stream)]


def assert_same(folder, whole):
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    curves = [json.loads((path / "run.json").read_text())["loss_curve"] for path in (folder, whole)]
    assert curves[0] == curves[1]
    assert json.loads((folder / "run.json").read_text())["steps"] == STEPS
    # And what was set aside.
    assert {path.name for path in folder.iterdir() if ".ckpt." not in path.name} == WHOLE


class Process:
    """A real training; `calls` of its loss can be waited for."""

    def __init__(self, values, folder, *more, threads=1):
        folder.parent.mkdir(exist_ok=True)
        file = folder.parent / "config.json"
        file.write_text(json.dumps(values))
        self.calls = folder.parent / "calls"
        self.calls.write_text("")
        words = [sys.executable, DOOR, "--config", file, "--out", folder, "--device", "cpu", *more]
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "CALLS": str(self.calls),
                "OMP_NUM_THREADS": str(threads),
                "OMP_WAIT_POLICY": "passive",
            },
            start_new_session=True,
        )

    def wait_for(self, calls):
        deadline = time.monotonic() + 300
        while len(self.calls.read_text().splitlines()) < calls:
            assert self.process.poll() is None, self.process.stderr.read()
            if time.monotonic() > deadline:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise TimeoutError
            time.sleep(0.01)

    def end(self, number):
        """Send a signal to all its processes; return the exit code and what was said."""
        os.killpg(self.process.pid, number)
        said = self.process.communicate(timeout=300)[1]
        return self.process.returncode, said.splitlines()


def test_killed_at_random_steps_and_between_the_passes(values, whole, tmp_path):
    """Each process takes up what the one before left, and is killed in its turn."""
    folder = tmp_path / "run"
    chance = random.Random(4)
    often = ("--checkpoint-minutes", "0.00001", "--log-seconds", "0", "--resume")
    taken = 0
    for steps in (3, 1, chance.randrange(2, 5), chance.randrange(2, 5)):
        process = Process(values, folder, *often)
        process.wait_for(steps)
        if steps != 3:  # else: while the loss is computed, which is between the passes
            time.sleep(0.3 + chance.random() / 10)
        code, _ = process.end(signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert not (folder / "model.safetensors").exists()
        assert not (folder / "run.json").exists()
        taken += steps - 1
        state = torch.load(folder / NAME, weights_only=True)["state"]["course"]
        # A step whose loss was called may have ended or not; those before it are saved.
        assert state["steps"] - taken in (0, 1)
        taken = state["steps"]
    assert taken % BATCHES
    train(Settings.from_json(values), folder, "cpu", True, loop.Watching(log_seconds=0))
    assert_same(folder, whole)
    assert rows(folder) == rows(whole)


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_asked_to_stop(values, whole, tmp_path, number, expected):
    """The step at hand is finished and saved, though no checkpoint was due."""
    folder = tmp_path / "run"
    process = Process(values, folder)
    process.wait_for(BATCHES + 2)
    code, said = process.end(number)
    assert code == expected
    state = torch.load(folder / NAME, weights_only=True)["state"]["course"]
    assert (state["epoch"], state["step"]) == (1, 2)
    place = "SIGTERM: saved after epoch 2, step 2; --resume continues"
    again = "interrupted; the next call continues or starts over cleanly"
    assert said[-1] == (place if number == signal.SIGTERM else again)
    train(Settings.from_json(values), folder, "cpu", resume=True)
    assert_same(folder, whole)


def test_asked_to_stop_with_processes_that_load_images(values, tmp_path):
    """They are asked too, as a cluster does it, and outlive it as copies of a process that does."""
    folder = tmp_path / "run"
    process = Process(values, folder, threads=4)
    process.wait_for(2)
    code, said = process.end(signal.SIGTERM)
    assert code == 143
    assert said[-1] == "SIGTERM: saved after epoch 1, step 2; --resume continues"
    assert not [line for line in said if "Traceback" in line]
    state = torch.load(folder / NAME, weights_only=True)["state"]["course"]
    assert (state["epoch"], state["step"]) == (0, 2)


def test_killed_before_the_first_checkpoint(values, whole, tmp_path):
    folder = tmp_path / "run"
    process = Process(values, folder)
    process.wait_for(1)
    process.end(signal.SIGKILL)
    assert not (folder / NAME).exists()
    train(Settings.from_json(values), folder, "cpu", resume=True)
    assert_same(folder, whole)


OFTEN = loop.Watching(checkpoint_minutes=0)


def stopped(monkeypatch, values, folder, after):
    """Train in this process and break off after `after` steps, their checkpoint written."""
    save = loop.checkpoint.save

    def last(folder, parts, state):
        save(folder, parts, state)
        if state["course"]["steps"] == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoint, "save", last)
        with pytest.raises(KeyboardInterrupt):
            train(Settings.from_json(values), folder, "cpu", watching=OFTEN)


def resumed(values, folder, capsys):
    """Train on in this process; return what it said."""
    capsys.readouterr()
    # A new process starts with other random numbers.
    rng.seed_all(99)
    train(Settings.from_json(values), folder, "cpu", resume=True)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("after", [1, BATCHES, 2 * BATCHES - 1, STEPS])
def test_points_of_interruption(values, whole, tmp_path, monkeypatch, capsys, after):
    stopped(monkeypatch, values, tmp_path, after)
    # What a kill leaves that strikes while a checkpoint is written.
    (tmp_path / ".last.abc.ckpt").write_bytes(b"half")
    assert len(resumed(values, tmp_path, capsys)) == EPOCHS - after // BATCHES
    assert_same(tmp_path, whole)
    record = json.loads((tmp_path / "run.json").read_text())
    # The time before the interruption counts.
    assert record["wall_time_s"] >= sum(epoch["seconds"] for epoch in record["epochs"]) - 1e-3
    assert [epoch["images"] for epoch in record["epochs"]] == [12 * BATCHES] * EPOCHS


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    """Change one bit in the middle, which is one of some tensor's."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def foreign(path):
    torch.save({"epoch": 3}, path)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "is damaged"),
        (empty, "is damaged"),
        (flip, "is damaged (bad checksum of "),
        (
            foreign,
            "is of another run: it does not say of which; kept as last.ckpt.1, starting over",
        ),
    ],
)
def test_unusable_checkpoint(values, whole, tmp_path, monkeypatch, capsys, harm, said):
    stopped(monkeypatch, values, tmp_path, 5)
    harm(tmp_path / NAME)
    harmed = (tmp_path / NAME).read_bytes()
    lines = resumed(values, tmp_path, capsys)
    assert lines[0].startswith(f"{tmp_path / NAME} {said}")
    assert sum(line.startswith("epoch") for line in lines) == EPOCHS
    assert (tmp_path / "last.ckpt.1").read_bytes() == harmed
    assert_same(tmp_path, whole)


def test_checkpoint_of_other_settings_is_not_used(values, whole, tmp_path, monkeypatch, capsys):
    stopped(monkeypatch, {**values, "seed": 1}, tmp_path, 5)
    (tmp_path / "last.ckpt.1").write_text("set aside before")
    kept = (tmp_path / NAME).read_bytes()
    lines = resumed(values, tmp_path, capsys)
    assert lines[0] == (
        f"{tmp_path / NAME} is of another run: seed was 1, now 0; kept as last.ckpt.2, "
        "starting over"
    )
    assert (tmp_path / "last.ckpt.1").read_text() == "set aside before"
    assert (tmp_path / "last.ckpt.2").read_bytes() == kept
    assert_same(tmp_path, whole)


def test_what_was_set_aside_can_be_gone_back_to(values, whole, tmp_path, monkeypatch, capsys):
    stopped(monkeypatch, values, tmp_path, 2 * BATCHES)
    resumed({**values, "seed": 1}, tmp_path, capsys)
    (tmp_path / "last.ckpt.1").rename(tmp_path / NAME)
    assert sum(line.startswith("epoch") for line in resumed(values, tmp_path, capsys)) == EPOCHS - 2
    assert_same(tmp_path, whole)


def test_without_resume_a_checkpoint_is_set_aside(values, whole, tmp_path, monkeypatch, capsys):
    stopped(monkeypatch, values, tmp_path, 5)
    capsys.readouterr()
    train(Settings.from_json(values), tmp_path, "cpu", watching=loop.Watching(log_seconds=0))
    said = capsys.readouterr().err.splitlines()[0]
    assert said.endswith("is not continued without --resume; kept as last.ckpt.1, starting over")
    assert (tmp_path / "last.ckpt.1").exists()
    assert_same(tmp_path, whole)
    assert rows(tmp_path) == rows(whole)


def test_a_difference_is_named(tiny_set, tmp_path):
    files = {name: tmp_path / name for name in ("train.csv", "start.safetensors", "mine.py")}
    for name, file in files.items():
        file.write_text(f"# {name}\n")
    loss = {"name": "mine", "params": {}, "file": str(files["mine.py"])}
    values = config(tmp_path, weights=str(files["start.safetensors"]), loss=loss)

    def now(device="cpu", precision="float32", **changes):
        settings = Settings.from_json(json.loads(json.dumps(values)) | changes)
        return identity(settings, torch.device(device), precision)

    before = now()
    assert differences(before, now()) == []
    plan = {**values["optimization"], "epochs": 9, "learning_rate": 0.5}
    assert differences(before, now(optimization=plan)) == [
        "optimization.epochs was 3, now 9",
        "optimization.learning_rate was 0.001, now 0.5",
    ]
    assert differences(before, now(regularizer={"margin_positive": 0.8})) == [
        "regularizer.margin_positive was not there, now 0.8",
        "regularizer was null, now not there",
    ]
    assert differences(before, now("cuda", "bfloat16")) == [
        "the kind of device was cpu, now cuda",
        "the precision was float32, now bfloat16",
    ]
    expected = []
    for name, file in files.items():
        file.write_text("# changed\n")
        what = {"train.csv": "the file of the manifest", "mine.py": "the code in mine.py"}
        expected.append(f"{what.get(name, 'the file of the start weights')} has changed")
        assert sorted(differences(before, now())) == sorted(expected)
    assert "the code in tcmbench/training/step.py" in before
    assert differences({**before, "torch": "1.0"}, before) == [
        f"torch was 1.0, now {torch.__version__}"
    ]
