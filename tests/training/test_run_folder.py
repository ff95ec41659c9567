"""One training at a time has a run folder, and a run that is finished is not trained again."""

import json
import os
import signal
from pathlib import Path

import pytest

from tcmbench.common.locks import exclusive
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.training.test_resume import BATCHES, EPOCHS, Process, assert_same, values, whole

__all__ = ["values", "whole"]  # fixtures


def said_until(process, word):
    """Return the line with that word, having read those before it."""
    return next(line for line in process.stderr if word in line)


def epochs(lines):
    return sum(f" of {EPOCHS}: total" in line for line in lines)


def test_of_two_trainings_of_one_run_the_second_waits_and_has_nothing_to_do(
    values, whole, tmp_path
):
    folder = tmp_path / "run"
    # Held back so that both meet at the lock; one comes by a link.
    (tmp_path / "link").symlink_to(folder)
    with exclusive(folder / "training", "holds them back"):
        both = [Process(values, path, "--resume").process for path in (folder, tmp_path / "link")]
        waits = [said_until(process, "waiting for") for process in both]
    assert all(f"waiting for process {os.getpid()} on " in line for line in waits)
    assert all(", which trains into " in line for line in waits)
    said = [process.communicate(timeout=300)[1].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(epochs(lines) for lines in said) == [0, EPOCHS]
    second = next(lines for lines in said if not epochs(lines))
    assert second[-1].endswith("holds this very run, finished; nothing is left to do")
    assert_same(folder, whole)


def test_a_run_of_other_settings_waits_for_its_turn_and_mixes_nothing(values, whole, tmp_path):
    folder = tmp_path / "run"
    first = Process({**values, "seed": 1}, folder, "--resume")
    first.wait_for(BATCHES)
    # Else it might end before the second one has started.
    first.process.send_signal(signal.SIGSTOP)
    second = Process(values, folder, "--resume").process
    said_until(second, f"waiting for process {first.process.pid} on ")
    first.process.send_signal(signal.SIGCONT)
    first.process.communicate(timeout=300)
    # Its record is that of a finished run, but of another.
    said = second.communicate(timeout=300)[1].splitlines()
    assert (first.process.returncode, second.returncode) == (0, 0)
    assert epochs(said) == EPOCHS
    assert_same(folder, whole)


def test_the_lock_of_a_killed_training_is_free(values, whole, tmp_path):
    folder = tmp_path / "run"
    process = Process(values, folder, "--resume")
    process.wait_for(1)
    process.end(signal.SIGKILL)
    assert (folder / ".training.holder.json").exists()
    again = Process(values, folder, "--resume").process
    said = again.communicate(timeout=300)[1]
    assert again.returncode == 0
    assert "waiting" not in said
    assert_same(folder, whole)


@pytest.fixture
def finished(values, whole, tmp_path):
    """A copy of the finished run, which a test may change."""
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def again(values, folder, capsys):
    """Train in this process; return the lines that were said."""
    train(Settings.from_json(values), folder, "cpu", resume=True)
    return capsys.readouterr().err.splitlines()


def test_a_finished_run_is_not_touched(values, finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert again(values, finished, capsys) == [
        f"{finished} holds this very run, finished; nothing is left to do"
    ]
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


def older(path: Path) -> None:
    """As a record that names no identity."""
    record = json.loads((path.with_name("run.json")).read_text())
    del record["identity"]
    path.with_name("run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flip, "is not what its run.json describes; training again"),
        (Path.unlink, None),
        (older, None),
        (lambda path: path.with_name("run.json").write_text("{"), None),
        (lambda path: path.with_name("run.json").write_text("[]"), None),
    ],
    ids=["flipped", "absent", "without identity", "half a record", "a list"],
)
def test_what_is_not_whole_is_trained_again(values, whole, finished, capsys, harm, said):
    weights = finished / "model.safetensors"
    harm(weights)
    lines = again(values, finished, capsys)
    assert epochs(lines) == EPOCHS
    assert lines[0] == f"{weights} {said}" if said else lines[0].startswith("epoch 1")
    assert_same(finished, whole)
