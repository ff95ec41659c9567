"""What a training says while it runs, and the log that it leaves."""

import csv
import io
import json
import re
import sys
import types

import pytest
import torch

import train as door
from tcmbench.common.errors import UserError
from tcmbench.training import course as course_module
from tcmbench.training import journal as module
from tcmbench.training.course import WARM_UP, Course
from tcmbench.training.crew import Crew
from tcmbench.training.data import Batch
from tcmbench.training.journal import Journal, Watching
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.training.tiny_data import BATCHES, config, exit_code, margins

CPU = torch.device("cpu")
HEADER = (
    "epoch,step,total,base,tcm,active_positive,active_negative,skipped_steps,images_per_second,"
    "memory_mb,wall_time_s"
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes when told."""
    now = [100.0]
    fake = types.SimpleNamespace(monotonic=lambda: now[0])
    for part in (module, course_module):
        monkeypatch.setattr(part, "time", fake)
    return now


def step(course, clock, seconds, total=0.5):
    clock[0] += seconds
    course.add({"total": torch.tensor(total)}, 400)


def test_rows_of_a_real_training(tiny_set, tmp_path, capsys):
    train(
        Settings.from_json(config(tiny_set, **margins(), epochs=2)),
        tmp_path,
        "cpu",
        watching=Watching(log_seconds=0),
    )
    with (tmp_path / "log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert ",".join(rows[0]) == HEADER
    places = [(int(row["epoch"]), int(row["step"])) for row in rows]
    assert places == [(epoch, step) for epoch in (1, 2) for step in range(1, BATCHES + 1)]
    epochs = json.loads((tmp_path / "run.json").read_text())["epochs"]
    for number, epoch in enumerate(epochs):
        of_epoch = rows[number * BATCHES : (number + 1) * BATCHES]
        for term in ("total", "base", "tcm"):
            mean = sum(float(row[term]) for row in of_epoch) / BATCHES
            assert mean == pytest.approx(epoch[term], abs=1e-6)
        assert float(of_epoch[-1]["active_negative"]) == epoch["active_negative"]
    assert all(float(row["images_per_second"]) > 0 for row in rows)
    assert all(100 < float(row["memory_mb"]) < 20_000 for row in rows)
    line = re.compile(
        r"epoch 1 of 2, step 1 of 4: total \d\.\d{4}, base \d\.\d{4}, tcm \d\.\d{4}, active pairs "
        r"\d+\.\d % of positive, \d+\.\d % of negative, [\d,]+ images/s, \d\.\d GB, \d\d:\d\d left"
    )
    said = capsys.readouterr().err.splitlines()
    assert line.fullmatch(said[0]), said[0]
    assert len(said) == 2 * (BATCHES + 1)


def test_a_line_an_interval_and_a_row_an_epoch(tiny_set, tmp_path, capsys):
    train(Settings.from_json(config(tiny_set, epochs=2)), tmp_path, "cpu")
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["1", "4"], ["2", "4"]]
    # A base run has one term, and no pairs to watch.
    assert rows[1].split(",")[3:7] == ["", "", "", ""]
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "epoch 1 of 2",
        "epoch 2 of 2",
    ]


@pytest.mark.parametrize("processes", [1, 4])
def test_the_line(tmp_path, clock, capsys, processes):
    course = Course(CPU)
    journal = Journal(tmp_path, Watching(log_seconds=20), course, 3)
    # Each process knows its share of the rows; rate and time left are of all.
    batch = Batch(0, WARM_UP + 1, 10, range(400 // processes), Crew(0, processes))
    # The warm-up takes 10 s a step and does not count; then 2 s.
    for number in range(WARM_UP + 2):
        assert journal.due() == (number >= 2)
        step(course, clock, 10 if number < WARM_UP else 2)
    journal.row(course, batch, {"total": 0.25, "base": 0.2, "tcm": 0.05})
    said = capsys.readouterr().err
    # 3 steps of this epoch and 20 of the next are left, 400 images each at 200 a second.
    assert re.fullmatch(
        r"epoch 1 of 3, step 7 of 10: total 0\.2500, base 0\.2000, tcm 0\.0500, 200 images/s, "
        r"\d+\.\d GB, 00:46 left\n",
        said,
    ), said
    assert not journal.due()
    assert (
        (tmp_path / "log.csv").read_text().splitlines()[1].startswith("1,7,0.25,0.2,0.05,,,,200.0")
    )


def test_a_terminal_has_its_line_rewritten(tmp_path, clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    course = Course(CPU)
    journal = Journal(tmp_path, Watching(log_seconds=20), course, 1)
    for number in range(2):
        step(course, clock, 3)
        journal.row(course, Batch(0, number, 2, range(400)), {"total": 0.5})
    course.end_epoch({})
    journal.epoch(course.curve)
    first, second, last = terminal.getvalue().split("\r")[1:]
    assert first.startswith("epoch 1 of 1, step 1 of 2")
    assert first.endswith("left\x1b[K")
    assert second.startswith("epoch 1 of 1, step 2 of 2")
    assert last == "epoch 1 of 1: total 0.5000, 133 images/s, 0 s left\x1b[K\n"


@pytest.mark.parametrize(
    ("epoch", "done", "kept"), [(0, 0, 0), (0, 2, 2), (1, 0, 4), (1, 1, 5), (1, 4, 6)]
)
def test_rows_after_the_checkpoint_are_dropped(tmp_path, epoch, done, kept):
    rows = [f"{place},0.5,,,,,1,2,3\n" for place in ("1,1", "1,2", "1,3", "1,4", "2,1", "2,3")]
    (tmp_path / "log.csv").write_text(HEADER + "\n" + "".join(rows) + "2,4,0.")
    course = Course(CPU)
    course.epoch, course.step = epoch, done
    Journal(tmp_path, Watching(), course, 9)
    assert (tmp_path / "log.csv").read_text() == HEADER + "\n" + "".join(rows[:kept])


def test_rates_leave_out_warm_up_and_pauses(clock):
    course = Course(CPU)
    clock[0] += 30
    course.pause()
    for _ in range(WARM_UP):
        step(course, clock, 10)
    assert course.rate() == pytest.approx(40)  # nothing else is known yet
    for _ in range(3):
        step(course, clock, 2)
    clock[0] += 50  # a checkpoint is written
    course.pause()
    step(course, clock, 2)
    clock[0] += 8  # the device is waited for
    course.end_epoch({})
    assert course.rate() == pytest.approx(4 * 400 / 16)
    (entry,) = course.curve
    assert entry == {"total": 0.5, "images": 9 * 400, "seconds": pytest.approx(66)}
    assert course.wall == pytest.approx(146)


def test_a_loss_that_is_no_number_is_known_by_its_step(clock):
    course = Course(CPU)
    step(course, clock, 1)
    assert course.failure() is None
    for value in (float("inf"), 0.5, float("nan")):
        step(course, clock, 1, value)
    assert course.failure() == (1, float("inf"))


class Board:
    """Stands in for TensorBoard's writer, which is not installed here."""

    def __init__(self, folder, purge_step):
        self.start, self.scalars, self.closed = (folder, purge_step), [], False
        Board.made = self

    def add_scalar(self, name, value, step):
        self.scalars.append((name, step))

    def close(self):
        self.closed = True


def test_tensorboard(tiny_set, tmp_path, monkeypatch):
    stub = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = Board
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    settings = Settings.from_json(config(tiny_set, epochs=1))
    train(settings, tmp_path, "cpu", watching=Watching(log_seconds=0, tensorboard=True))
    assert Board.made.start == (str(tmp_path / "tensorboard"), 1)
    names = ("total", "images_per_second", "memory_mb", "wall_time_s")
    assert Board.made.scalars == [(name, step) for step in (1, 2, 3, 4) for name in names]
    assert Board.made.closed


def test_tensorboard_that_is_not_installed(tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    sentence = (
        "TensorBoard is not installed; pip install tensorboard, or set training.tensorboard to "
        "false"
    )
    with pytest.raises(UserError, match=sentence):
        Journal(tmp_path, Watching(tensorboard=True), Course(CPU), 1)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config(tiny_set)))
    words = ("--config", file, "--out", tmp_path / "run", "--device", "cpu", "--tensorboard")
    assert exit_code(door, *words) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
