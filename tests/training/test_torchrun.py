"""Several processes, started by torchrun, train the network that one process would."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tcmbench.common.errors import UserError
from tcmbench.training import crew
from tcmbench.training.checkpoint import NAME
from tcmbench.training.crew import Crew
from tcmbench.training.data import TrainingData
from tcmbench.training.loop import Training, Watching, train
from tcmbench.training.settings import Settings
from tests.paths import SRC
from tests.training.test_class_losses import FILE
from tests.training.test_resume import CHANCY, WHOLE
from tests.training.tiny_data import BATCHES, config, margins

DOOR = SRC / "train.py"
EPOCHS = 3


def start(values, folder, *more):
    """Start two processes that share a training."""
    file = folder.parent / f"{folder.name}.json"
    file.write_text(json.dumps(values))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [*launcher, DOOR, "--config", file, "--out", folder, "--device", "cpu", *more]
    calls = folder.parent / "calls"
    calls.write_text("")
    return subprocess.Popen(
        [str(word) for word in words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CALLS": str(calls), "OMP_WAIT_POLICY": "passive"},
    )


def finish(process):
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    return said


def steps(folder):
    """The log without what times and memory differ in."""
    with (folder / "log.csv").open(newline="") as stream:
        return [
            {name: float(row[name]) for name in ("epoch", "step", "total", "base", "tcm")}
            for row in csv.DictReader(stream)
        ]


def test_two_processes_train_the_network_of_one(tiny_set, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FILE.format(name="ArcFaceLoss"))
    loss = {"name": "mine", "params": {}, "file": str(file)}
    values = config(tiny_set, **margins(), loss=loss, chunk_size=5, epochs=EPOCHS)
    train(Settings.from_json(values), tmp_path / "one", "cpu", watching=Watching(log_seconds=0))
    said = finish(start(values, tmp_path / "two", "--log-seconds", "0"))
    assert said.count(f"epoch {EPOCHS} of {EPOCHS}: ") == 1
    one, two = (steps(tmp_path / name) for name in ("one", "two"))
    assert len(two) == EPOCHS * BATCHES
    for left, right in zip(one, two, strict=True):
        assert right == pytest.approx(left, rel=1e-3)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-3)
    record = json.loads((tmp_path / "two/run.json").read_text())
    assert record["num_processes"] == 2
    assert [entry["images"] for entry in record["epochs"]] == [12 * BATCHES] * EPOCHS
    assert {path.name for path in (tmp_path / "two").iterdir()} == WHOLE


# The first has its norm after pooling; of the second, layers feed the classifier alone.
@pytest.mark.parametrize(
    ("timm", "arguments"),
    [
        ("test_vit", {"img_size": 32, "patch_size": 8, "global_pool": "avg"}),
        ("test_mambaout", {}),
    ],
)
def test_two_processes_train_a_backbone_with_parts_of_a_classifier(
    tiny_set, tmp_path, timm, arguments
):
    values = config(tiny_set, timm=timm, pooling="avg", model_args=arguments, epochs=1)
    train(Settings.from_json(values), tmp_path / "one", "cpu")
    finish(start(values, tmp_path / "two"))
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, None), (signal.SIGKILL, -9)])
def test_stopped_processes_continue_to_the_same_bits(tiny_set, tmp_path, number, code):
    file = tmp_path / "chancy.py"
    file.write_text(CHANCY)
    loss = {"name": "chancy", "params": {}, "file": str(file)}
    values = config(tiny_set, **margins(), loss=loss, chunk_size=5, epochs=EPOCHS)
    finish(start(values, tmp_path / "whole"))
    # After SIGTERM the step at hand is there because it was saved then: no other save was due.
    often = ("--checkpoint-minutes", "0.00001") if number == signal.SIGKILL else ()
    process = start(values, tmp_path / "run", *often)
    deadline = time.monotonic() + 300
    while len((tmp_path / "calls").read_text().splitlines()) < 2 * BATCHES + 4:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # To the launcher as well, which passes it on where it can: each process is asked twice.
    members = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(members) >= 2
    for one in (process.pid, *map(int, members)):
        os.kill(one, number)
    process.communicate(timeout=300)
    assert process.returncode == code if code else process.returncode != 0
    place = torch.load(tmp_path / "run" / NAME, weights_only=True)["state"]["course"]
    assert (place["epoch"], place["step"]) in ((1, 1), (1, 2))
    finish(start(values, tmp_path / "run", "--resume"))
    run, whole = (tmp_path / name / "model.safetensors" for name in ("run", "whole"))
    assert run.read_bytes() == whole.read_bytes()


def test_images_are_cropped_as_in_one_process(tiny_set):
    settings = Settings.from_json(config(tiny_set))
    cpu = torch.device("cpu")
    (batch, images, labels), *_ = TrainingData(settings).batches(1, 2, cpu)
    parts = [next(TrainingData(settings, Crew(rank, 2)).batches(1, 2, cpu)) for rank in (0, 1)]
    assert torch.equal(images, torch.cat([part[1] for part in parts]))
    assert torch.equal(labels, torch.cat([part[2] for part in parts]))
    assert batch.rows.tolist() == [row for part in parts for row in part[0].rows]


def test_a_checkpoint_of_another_number_of_processes_is_left(tiny_set, tmp_path, capsys):
    settings = Settings.from_json(config(tiny_set))
    first = Training(settings, tmp_path / "run", "cpu")
    batch, _, _ = next(first.data.batches(0, 0, first.device))
    first._save(batch)
    monkey = Training(settings, tmp_path / "run", "cpu")
    monkey.identity = monkey.identity | {"the number of processes": "2"}
    monkey.resume()
    assert "the number of processes was 1, now 2; kept as last.ckpt.1" in capsys.readouterr().err


def test_gpus_are_taken_by_number(monkeypatch):
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    member = Crew(3, 4)
    for gpus, wanted, device in ((0, "auto", "cpu"), (2, "cpu", "cpu"), (2, "auto", "cuda:1")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert member.claim(wanted) == torch.device(device)
    assert taken == [torch.device("cuda", 1)]
    for gpus, wanted in ((1, "auto"), (0, "cuda")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        with pytest.raises(UserError, match=f"started 2 processes here, but {gpus} GPUs are"):
            member.claim(wanted)


def test_a_launcher_of_one_process_changes_nothing(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with crew.assembled() as alone:
        assert alone is crew.ALONE
    assert alone.highest(3, 0) == [3, 0]
    assert alone.all("x") == ["x"]
