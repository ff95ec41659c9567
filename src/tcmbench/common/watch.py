"""Progress of a whole workflow: a line when a training starts, and a line for each job that ends.

Snakemake counts its steps; a reader wants to know about trainings. This listens to its log.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.common.timeleft import Load, TimeLeft

TRAINING = "train_"
ENDED = {"evaluate": "evaluated", "evaluate_further": "evaluated", "embed": "embedded"}


@dataclass(frozen=True)
class Job:
    """A job of the workflow: its rule, its load, what it is about, and the metrics it writes."""

    rule: str
    load: Load
    about: tuple[str, ...] = ()
    metrics: str | None = None

    @property
    def training(self) -> bool:
        """Say whether it trains a network."""
        return self.rule.startswith(TRAINING)

    def words(self, verb: str) -> str:
        """Return what happened, such as "trained cub · resnet50 · smooth_ap · tcm · seed 0"."""
        return f"{verb} {' · '.join(self.about)}".rstrip()

    def ended(self) -> str:
        """Say what has been done, with R@1 where it was measured."""
        verb = "trained" if self.training else ENDED.get(self.rule, f"done: {self.rule}")
        return self.words(verb) + self._recall()

    def _recall(self) -> str:
        if self.metrics is None:
            return ""
        try:
            return f": R@1 {100 * read_json(Path(self.metrics))['recall_at_1']:.1f} %"
        # A file system may show a file late, and a line of progress must not end a workflow.
        except (UserError, OSError, KeyError, TypeError):
            return ""


class RunWatcher(logging.Handler):
    """Prints a line to standard error when a training starts and when a job ends."""

    def __init__(
        self, jobs: Mapping[int, Job], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch the jobs that are about to run.

        Args:
            jobs: by the number that the log calls them by.
            clock: seconds.
        """
        super().__init__(logging.INFO)
        self.jobs = dict(jobs)
        self.left = set(self.jobs)
        self.time = TimeLeft({number: job.load for number, job in self.jobs.items()}, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Note the start or the end of a job."""
        event = str(getattr(record, "event", None) or "")
        if event == "job_started":
            for number in record.__dict__.get("jobs") or ():
                self._start(number)
        elif event == "job_finished":
            number = record.__dict__.get("job_id")
            if number in self.jobs and self.time.finish(number):
                self.left.discard(number)
                _say(f"{self.jobs[number].ended()}; {self.line()}")

    def line(self) -> str:
        """Say how many trainings and steps are done, and about how long the rest takes."""
        total = len(self.jobs)
        parts = [
            f"{total - len(self.left)} of {total} steps",
            f"about {_spoken(self.time.seconds())} left",
        ]
        trainings = {number for number, job in self.jobs.items() if job.training}
        if trainings:
            done = len(trainings - self.left)
            parts.insert(0, f"{done} of {len(trainings)} runs trained")
        return ", ".join(parts)

    def _start(self, number: int) -> None:
        self.time.start(number)
        if number in self.jobs and self.jobs[number].training:
            _say(self.jobs[number].words("training"))


def _say(text: str) -> None:
    print(f"[tcm-bench] {text}", file=sys.stderr, flush=True)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
