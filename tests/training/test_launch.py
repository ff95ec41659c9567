"""A configuration that asks for several processes gets them, and behaves as one process does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from tcmbench.common.errors import UserError
from tcmbench.training import launch
from tcmbench.training.checkpoint import NAME
from tcmbench.training.crew import assembled
from tcmbench.training.journal import Watching
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.paths import SRC
from tests.training.test_resume import CHANCY
from tests.training.tiny_data import BATCHES, config

EPOCHS = 3


@pytest.fixture
def values(tiny_set, tmp_path):
    """Settings of a training of two processes, whose loss notes its calls and draws by chance."""
    file = tmp_path / "chancy.py"
    file.write_text(CHANCY)
    loss = {"name": "chancy", "params": {}, "file": str(file)}
    return config(tiny_set, loss=loss, chunk_size=5, epochs=EPOCHS) | {"compute": {"processes": 2}}


def start(values, folder, *more, before=()):
    """Start the command with its configuration on standard input, as the workflow does."""
    words = [sys.executable, SRC / "train.py", "--config", "-", "--out", folder, "--device", "cpu"]
    calls = folder.parent / "calls"
    calls.write_text("")
    process = subprocess.Popen(
        [str(word) for word in (*before, *words, *more)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CALLS": str(calls), "OMP_WAIT_POLICY": "passive"},
    )
    process.stdin.write(json.dumps(values))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process):
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 0, said
    return said


def test_stopped_by_a_signal_to_the_command_it_continues_to_the_same_bits(values, tmp_path):
    said = finish(start(values, tmp_path / "whole"))
    assert said.count(f"epoch {EPOCHS} of {EPOCHS}: ") == 1
    assert json.loads((tmp_path / "whole/run.json").read_text())["num_processes"] == 2
    process = start(values, tmp_path / "run")
    deadline = time.monotonic() + 600
    while len((tmp_path / "calls").read_text().splitlines()) < 2 * BATCHES + 4:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.terminate()
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert said.count("SIGTERM: saved after epoch 2, step ") == 1
    place = torch.load(tmp_path / "run" / NAME, weights_only=True)["state"]["course"]
    assert place["epoch"] == 1
    finish(start(values, tmp_path / "run", "--resume"))
    run, whole = (tmp_path / name / "model.safetensors" for name in ("run", "whole"))
    assert run.read_bytes() == whole.read_bytes()


def test_a_machine_whose_own_name_is_in_no_directory_waits_for_nothing(values, tmp_path):
    """As in a container: torchrun would ask for the name again and again, for many minutes."""
    shell = 'echo a-name-that-nobody-knows > /proc/sys/kernel/hostname && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    renamed = ["unshare", *user, "--uts", "sh", "-c", shell, "sh"]
    tried = shutil.which("unshare") and subprocess.run([*renamed, "true"], capture_output=True)
    if not tried or tried.returncode:
        pytest.skip("this user may not give a process another host name")
    said = finish(start({**values, "seed": 1}, tmp_path / "run", before=renamed))
    assert "cannot be retrieved" not in said


def test_what_all_processes_refuse_is_said_in_one_line(values, tmp_path):
    values["compute"]["processes"] = 3
    process = start(values, tmp_path / "run")
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 2
    assert said == (
        "error: the 4 classes of a batch cannot be shared out evenly among 3 processes; change "
        "batch_size or the number of GPUs\n"
    )


def test_another_number_of_processes_than_asked_for_is_refused(values, tmp_path):
    with pytest.raises(UserError, match="shared by 2 processes and 1 were started"):
        train(Settings.from_json(values), tmp_path / "run", "cpu")
    for any_number in (None, 1):
        with assembled(any_number) as crew:
            assert crew.size == 1


def test_fewer_gpus_than_asked_for_are_refused(values, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="takes 2 GPUs and 1 are visible"):
        launch.launch(Settings.from_json(values), tmp_path / "run", "auto", False, Watching())
