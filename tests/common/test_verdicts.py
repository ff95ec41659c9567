"""The reason of a failed job is said, and one that was refused is not tried again."""

import logging
import os
from pathlib import Path

import pytest

from tcmbench.common.verdicts import Verdicts, last_line


class Job:
    rule = "train_mine"

    def __init__(self, log: Path) -> None:
        self.log = [str(log)]
        self.attempt = 1
        self.restart_times = 3

    def again(self) -> bool:
        """Snakemake's own condition for another try."""
        return self.restart_times > self.attempt - 1


def record(event: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    made.__dict__.update(event=event, **fields)
    return made


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "train.log")


def failed(job: Job, text: str | None) -> None:
    """Start and fail a job that appends a text to its log."""
    log = Path(job.log[0])
    watcher = Verdicts({7: job})
    watcher.emit(record("job_started", jobs=[7]))
    if text is not None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(text)
        # Two writes in one tick of the file system's clock would look like one.
        os.utime(log, ns=(0, log.stat().st_mtime_ns + 1))
    watcher.emit(record("job_error", jobid=7))


def test_a_refusal_is_said_and_ends_the_tries(job, capsys) -> None:
    failed(job, "epoch 1\nerror: the labels are no whole numbers\n")
    said = capsys.readouterr().err
    assert said == (
        "[tcm-bench] train_mine failed: error: the labels are no whole numbers "
        f"(log: {job.log[0]})\n"
    )
    assert not job.again()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Traceback (most recent call last):\n  File\nKeyError: 'é'\n\n", "failed: KeyError: 'é' "),
        ("10 of 20\r20 of 20", "failed: 20 of 20 "),
        (None, "failed: it was ended, or could not be started "),
        ("", "failed: it was ended, or could not be started "),
    ],
)
def test_other_failures_are_said_and_tried_again(job, capsys, text, said) -> None:
    failed(job, text)
    assert said in capsys.readouterr().err
    assert job.again()


def test_the_refusal_of_an_earlier_call_is_not_this_ones(job, capsys) -> None:
    Path(job.log[0]).write_text("error: an old one\n")
    failed(job, None)
    assert "old one" not in capsys.readouterr().err
    assert job.again()


def test_the_end_of_a_long_log_is_enough(tmp_path) -> None:
    log = tmp_path / "long.log"
    log.write_bytes(b"\xff" * 100_000 + b"\nthe end\n")
    assert last_line(log) == "the end"
    assert last_line(tmp_path / "none.log") == ""


def test_event_names_and_fields_are_snakemakes() -> None:
    common = pytest.importorskip("snakemake_interface_logger_plugins.common")
    assert common.LogEvent.JOB_STARTED.value == "job_started"
    assert common.LogEvent.JOB_ERROR.value == "job_error"
