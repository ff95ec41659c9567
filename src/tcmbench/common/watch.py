"""Progress of a whole workflow: which of how many runs, and a time left.

Snakemake counts its steps; a reader wants to know about trainings. This listens to its log.
"""

import logging
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

TRAINING = "train_"


class RunWatcher(logging.Handler):
    """Prints a line to standard error whenever a job of the workflow ends."""

    def __init__(
        self, rules: Mapping[int, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch the jobs that are about to run.

        Args:
            rules: name of the rule of each job, by the job's number.
            clock: seconds.
        """
        super().__init__(logging.INFO)
        self.rules = dict(rules)
        self.waiting = Counter(self.rules.values())
        self.clock = clock
        self.began = clock()
        self.started: dict[int, float] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @classmethod
    def attach(cls, rules: Mapping[int, str]) -> None:
        """Listen to Snakemake's log for the rest of this process."""
        from snakemake.logging import logger

        logger.addHandler(cls(rules))

    def emit(self, record: logging.LogRecord) -> None:
        """Note the start or the end of a job."""
        event = str(getattr(record, "event", None) or "")
        if event == "job_started":
            for number in record.__dict__.get("jobs") or ():
                self.started[number] = self.clock()
        elif event == "job_finished":
            number = record.__dict__.get("job_id")
            if number in self.started and number in self.rules:
                self._finish(number)
                print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """Say how many trainings and steps are done, and about how long the rest takes."""
        total = len(self.rules)
        done = total - self.waiting.total()
        trainings = [rule for rule in self.rules.values() if rule.startswith(TRAINING)]
        left = sum(count for rule, count in self.waiting.items() if rule.startswith(TRAINING))
        parts = [f"{done} of {total} steps", f"about {_spoken(self.seconds_left())} left"]
        if trainings:
            parts.insert(0, f"run {len(trainings) - left} of {len(trainings)} trained")
        return f"[tcm-bench] {', '.join(parts)}"

    def seconds_left(self) -> float:
        """Estimate the time left from the mean duration of each rule so far.

        A rule that has not ended once is taken to last as long as the mean job. The sum is divided
        by how many jobs ran side by side until now.
        """
        ended = [value for values in self.seconds.values() for value in values]
        if not ended:
            return 0.0
        mean = {rule: sum(values) / len(values) for rule, values in self.seconds.items()}
        overall = sum(ended) / len(ended)
        work = sum(count * mean.get(rule, overall) for rule, count in self.waiting.items())
        side_by_side = max(sum(ended) / max(self.clock() - self.began, 1e-9), 1e-9)
        return work / side_by_side

    def _finish(self, number: int) -> None:
        rule = self.rules[number]
        self.waiting[rule] -= 1
        self.seconds[rule].append(self.clock() - self.started.pop(number))


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
