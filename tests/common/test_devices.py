"""GPUs shared out among processes: real processes, real locks, no GPU needed."""

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import pytest
import torch

from tcmbench.common import devices
from tcmbench.common.devices import claim_device, claim_indices, claim_kind, physical_names
from tcmbench.common.errors import UserError

FORK = multiprocessing.get_context("fork")
NOBODY = 65534


def hold(names, folder, answer, user, count):
    if user is not None:
        os.setuid(user)
    try:
        found = claim_indices(names, count, folder, look_s=0.01)
        answer.send(found[0] if count == 1 else found)
    except OSError as error:
        answer.send(repr(error))
    signal.pause()


@pytest.fixture
def start():
    """Start a process that claims GPUs and lives on; return its process and what it got.

    One that has to wait answers later; then its end of the pipe is returned.
    """
    children = []

    def started(names, folder, user=None, count=1, waits=False):
        here, there = FORK.Pipe()
        child = FORK.Process(target=hold, args=(names, folder, there, user, count))
        child.start()
        children.append(child)
        if waits:
            assert not here.poll(0.5)
            return child, here
        assert here.poll(30)
        return child, here.recv()

    yield started
    for child in children:
        child.kill()
        child.join()


def test_each_process_has_a_gpu_of_its_own_until_it_dies(start, tmp_path):
    names = ["0", "1"]
    first, index = start(names, tmp_path)
    assert index == 0
    assert start(names, tmp_path)[1] == 1
    _, answer = start(names, tmp_path, waits=True)
    os.kill(first.pid, signal.SIGKILL)
    assert answer.poll(30)
    assert answer.recv() == 0


def test_several_gpus_are_claimed_all_or_none(start, tmp_path):
    names = ["0", "1", "2"]
    first, index = start(names, tmp_path)
    assert index == 0
    assert start(names, tmp_path, count=2)[1] == [1, 2]
    _, answer = start(names, tmp_path, count=2, waits=True)
    # What is too little for one that waits, it leaves to others.
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert start(names, tmp_path)[1] == 0
    assert not answer.poll(0.5)


def test_a_process_is_given_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_held", {})
    assert claim_indices(["0", "1"], 1, tmp_path) == claim_indices(["0", "1"], 1, tmp_path) == [0]
    assert claim_indices(["0", "1"], 2, tmp_path) == [0, 1]
    for lock in devices._held.values():
        os.close(lock)


def test_gpus_of_another_job_of_slurm_may_have_the_same_number(start, tmp_path, monkeypatch):
    for job in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        assert start(["0"], tmp_path)[1] == 0
    start(["0"], tmp_path, waits=True)


def test_the_gpus_of_a_run_are_all_that_its_processes_see(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_held", {})
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    devices.claim_visible(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
    for lock in devices._held.values():
        os.close(lock)


def test_names_are_what_is_locked(start, tmp_path):
    # Two jobs that see different GPUs under the same position do not disturb each other.
    assert start(["GPU-a/b"], tmp_path)[1] == 0
    assert start(["7", "8"], tmp_path)[1] == 0
    assert start(["8", "7"], tmp_path)[1] == 0
    assert start(["GPU-a/b", "9"], tmp_path)[1] == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can work as two users")
def test_a_lock_made_by_another_user_is_respected_and_taken_over(start):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        owner, index = start(["0", "1"], folder)
        assert index == 0
        assert start(["0", "1"], folder, NOBODY)[1] == 1
        os.kill(owner.pid, signal.SIGKILL)
        owner.join()
        assert start(["0", "1"], folder, NOBODY)[1] == 0


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("", 2, ["0", "1"]),
        ("3,5", 2, ["3", "5"]),
        (" GPU-a , GPU-b ", 2, ["GPU-a", "GPU-b"]),
        # Names that CUDA did not accept say nothing about those it shows.
        ("3,5,9", 2, ["0", "1"]),
    ],
)
def test_physical_names(monkeypatch, visible, count, names):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert physical_names(count) == names


def test_claimed_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert claim_device("cpu") == claim_device("auto") == torch.device("cpu")
    with pytest.raises(UserError) as error:
        claim_device("cuda")
    assert str(error.value) == ("no GPU is visible to this process; choose cpu to work without one")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(devices, "claim_indices", lambda names: [len(names) - 1])
    assert claim_device("cuda") == claim_device("auto") == torch.device("cuda", 2)
    assert claim_device("cpu") == torch.device("cpu")
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert (claim_kind("cpu"), claim_kind(None), claim_kind("cuda")) == ("cpu", "cuda", "cuda")
    assert current == [torch.device("cuda", 2)] * 2
