"""The lines of a workflow's progress: what started, what ended, and the time left."""

import logging
from pathlib import Path

import pytest

from tcmbench.common.timeleft import Load
from tcmbench.common.watch import Job, RunWatcher
from tests.common.test_timeleft import Clock

CELL = ("cub", "resnet50", "smooth_ap", "tcm", "seed 0")
TRAINING = Job("train_smooth_ap", Load(("train",)), CELL)


def record(event: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    made.__dict__.update(event=event, **fields)
    return made


def test_starts_and_ends_are_told_with_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    watcher = RunWatcher({1: TRAINING, 2: TRAINING, 3: Job("page", Load(("page",)))}, clock)
    watcher.emit(record("job_started", jobs=[1]))
    run = "cub · resnet50 · smooth_ap · tcm · seed 0"
    assert capsys.readouterr().err == f"[tcm-bench] training {run}\n"
    clock.now += 10
    watcher.emit(record("job_finished", job_id=1))
    told = "1 of 2 runs trained, 1 of 3 steps, about 20 s left"
    assert capsys.readouterr().err == f"[tcm-bench] trained {run}; {told}\n"
    watcher.emit(record("job_started", jobs=[2, 3]))
    clock.now += 10
    watcher.emit(record("job_finished", job_id=2))
    watcher.emit(record("job_finished", job_id=3))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "[tcm-bench] done: page; 2 of 2 runs trained, 3 of 3 steps, about 0 s left"


@pytest.mark.parametrize(
    ("content", "said"), [('{"recall_at_1": 0.8127}', ": R@1 81.3 %"), ("{}", ""), ("half", "")]
)
def test_an_evaluation_is_told_with_its_recall(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "metrics.json"
    metrics.write_text(content)
    job = Job("evaluate", Load(("evaluate",)), CELL, str(metrics))
    watcher = RunWatcher({7: job}, Clock())
    watcher.emit(record("job_started", jobs=[7]))
    watcher.emit(record("job_finished", job_id=7))
    line = capsys.readouterr().err
    assert line.startswith(f"[tcm-bench] evaluated {' · '.join(CELL)}{said}; 1 of 1 steps")


def test_metrics_that_are_not_there_yet_end_nothing(tmp_path: Path) -> None:
    job = Job("evaluate", Load(()), CELL, str(tmp_path / "metrics.json"))
    assert job.ended() == f"evaluated {' · '.join(CELL)}"


@pytest.mark.parametrize(
    ("seconds", "spoken"), [(80, "80 s"), (91, "2 min"), (3600, "60 min"), (5400, "1.5 h")]
)
def test_long_times_are_told_in_larger_units(seconds: float, spoken: str) -> None:
    clock = Clock()
    watcher = RunWatcher({1: TRAINING, 2: TRAINING}, clock)
    watcher.emit(record("job_started", jobs=[1]))
    clock.now += seconds
    watcher.emit(record("job_finished", job_id=1))
    assert f"about {spoken} left" in watcher.line()


def test_foreign_records_are_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = RunWatcher({1: Job("embed", Load(()))}, Clock())
    watcher.emit(record("job_finished", job_id=1))
    watcher.emit(record("job_finished", job_id=99))
    watcher.emit(record("job_started", jobs=[99]))
    watcher.emit(record("progress", done=1, total=2))
    watcher.emit(logging.LogRecord("snakemake", logging.INFO, "", 0, "text", None, None))
    assert capsys.readouterr().err == ""


def test_event_names_are_snakemakes() -> None:
    """The watcher compares with text, so that the library does not need Snakemake."""
    common = pytest.importorskip("snakemake_interface_logger_plugins.common")
    assert common.LogEvent.JOB_STARTED.value == "job_started"
    assert common.LogEvent.JOB_FINISHED.value == "job_finished"
