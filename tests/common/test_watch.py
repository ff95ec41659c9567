"""The line that tells which of how many runs, and the time left."""

import logging

import pytest

from tcmbench.common.watch import RunWatcher


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(event: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    made.__dict__.update(event=event, **fields)
    return made


def test_counts_runs_and_steps_and_estimates_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    rules = {1: "train_smooth_ap", 2: "train_smooth_ap", 3: "train_smooth_ap", 4: "embed"}
    watcher = RunWatcher(rules, clock)
    watcher.emit(record("job_started", jobs=[1]))
    clock.now += 10
    watcher.emit(record("job_finished", job_id=1))
    # One job of 10 s in 10 s; two of that rule wait, and one unknown rule counts as the mean.
    assert watcher.seconds_left() == pytest.approx(30)
    watcher.emit(record("job_started", jobs=[2, 3]))
    clock.now += 10
    watcher.emit(record("job_finished", job_id=2))
    watcher.emit(record("job_finished", job_id=3))
    # 30 s of work in 20 s; what is left is one job of 10 s.
    assert watcher.seconds_left() == pytest.approx(10 * 20 / 30)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[tcm-bench] run 1 of 3 trained, 1 of 4 steps, about 30 s left"
    assert lines[-1] == "[tcm-bench] run 3 of 3 trained, 3 of 4 steps, about 7 s left"


@pytest.mark.parametrize(
    ("seconds", "spoken"), [(80, "80 s"), (91, "2 min"), (3600, "60 min"), (5400, "1.5 h")]
)
def test_long_times_are_told_in_larger_units(seconds: float, spoken: str) -> None:
    clock = Clock()
    watcher = RunWatcher({1: "train_a", 2: "train_a"}, clock)
    watcher.emit(record("job_started", jobs=[1]))
    clock.now += seconds
    watcher.emit(record("job_finished", job_id=1))
    assert f"about {spoken} left" in watcher.line()


def test_foreign_records_are_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = RunWatcher({1: "embed"}, Clock())
    watcher.emit(record("job_finished", job_id=1))
    watcher.emit(record("progress", done=1, total=2))
    watcher.emit(logging.LogRecord("snakemake", logging.INFO, "", 0, "text", None, None))
    assert capsys.readouterr().err == ""


def test_event_names_are_snakemakes() -> None:
    """The watcher compares with text, so that the library does not need Snakemake."""
    common = pytest.importorskip("snakemake_interface_logger_plugins.common")
    assert common.LogEvent.JOB_STARTED.value == "job_started"
    assert common.LogEvent.JOB_FINISHED.value == "job_finished"
