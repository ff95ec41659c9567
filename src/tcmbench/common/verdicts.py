"""Why a job of the workflow failed, on the screen; and no second try where it was refused.

Snakemake names a log, and with `--quiet` not even that. This listens to what Snakemake logs, in the
process that hands jobs out, so that it makes no difference where a job ran.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

# What `run_command` writes where a command ends with exit code 2.
REFUSED = re.compile(r"error: ")
# The end of a log, in bytes: longer than any line that ends one.
TAIL = 65536


class Job(Protocol):
    """What is needed of Snakemake's jobs."""

    attempt: int

    @property
    def rule(self) -> object:
        """The rule, which has a name."""

    @property
    def log(self) -> list[str]:
        """Paths of its logs."""

    @property
    def restart_times(self) -> int:
        """How often it may be tried again."""


class Verdicts(logging.Handler):
    """Prints the last line of a failed job's log, and gives a refused job up.

    What is refused (exit code 2) is refused again; all else keeps its retries.
    """

    def __init__(self, jobs: Mapping[int, Job]) -> None:
        """Watch jobs, by their number."""
        super().__init__(logging.INFO)
        self.jobs = dict(jobs)
        self.before: dict[int, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Note the start or the failure of a job."""
        event = str(getattr(record, "event", None) or "")
        if event == "job_started":
            for number in record.__dict__.get("jobs") or ():
                if log := self._log(number):
                    self.before[number] = log.stat().st_mtime_ns if log.exists() else 0
        elif event == "job_error":
            number = record.__dict__.get("jobid")
            if number in self.jobs and (log := self._log(number)):
                self._tell(self.jobs[number], log, last_line(log, self.before.get(number, 0)))

    def _log(self, number: int) -> Path | None:
        job = self.jobs.get(number)
        return Path(job.log[0]) if job and job.log else None

    def _tell(self, job: Job, log: Path, reason: str) -> None:
        said = reason or "it was ended, or could not be started"
        print(f"[tcm-bench] {job.rule} failed: {said} (log: {log})", file=sys.stderr, flush=True)
        if REFUSED.match(reason):
            # Snakemake starts a job again until this number is reached.
            job.attempt = job.restart_times + 1


def last_line(log: Path, before: int = 0) -> str:
    """Return the last line of a log, empty where nothing was written to it.

    Args:
        log: the file.
        before: when it was written to the last time, ns, as it was known then.
    """
    try:
        # Opened first: on a shared file system that makes what other machines wrote visible.
        with log.open("rb") as stream:
            known = os.fstat(stream.fileno())
            stream.seek(max(0, known.st_size - TAIL))
            lines = stream.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    if known.st_mtime_ns == before:
        return ""
    # A line of progress is rewritten behind a carriage return.
    ends = [line.rpartition("\r")[2].strip() for line in lines]
    return next((line for line in reversed(ends) if line), "")
