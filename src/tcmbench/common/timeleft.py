"""How long a workflow still takes, from what its jobs took so far."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What is known of a job beforehand.

    `kind` says which jobs are alike, from the general to the particular, such as ("train",
    "resnet50"); `weight` how long it takes against other jobs, in whatever unit.
    """

    kind: tuple[str, ...]
    weight: float = 1.0


class TimeLeft:
    """Estimates the rest of a workflow; jobs are told by their numbers."""

    def __init__(self, loads: Mapping[int, Load], clock: Callable[[], float]) -> None:
        self.waiting = dict(loads)
        self.running: dict[int, tuple[Load, float]] = {}
        self.clock = clock
        self.began = clock()
        # Seconds and weight of the jobs that ended, by each of their kinds.
        self._ended: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def start(self, number: int) -> None:
        """Note that a job began."""
        if number in self.waiting:
            self.running[number] = self.waiting.pop(number), self.clock()

    def finish(self, number: int) -> bool:
        """Note that a job ended; return whether it was one that began."""
        if number not in self.running:
            return False
        load, began = self.running.pop(number)
        for length in range(len(load.kind) + 1):
            ended = self._ended[load.kind[:length]]
            ended[0] += self.clock() - began
            ended[1] += load.weight
        return True

    def seconds(self) -> float:
        """Return the time left.

        What a job takes is told by those of its kind that ended, else by those of the more general
        kind, else by all. The sum is divided by how many ran side by side until now, and is never
        less than the longest job that is left.
        """
        now = self.clock()
        parts = [self._expected(load) for load in self.waiting.values()]
        parts += [
            max(self._expected(load) - (now - began), 0) for load, began in self.running.values()
        ]
        busy = self._ended[()][0] + sum(now - began for _, began in self.running.values())
        side_by_side = max(busy / max(now - self.began, 1e-9), 1.0)
        return max(sum(parts) / side_by_side, max(parts, default=0.0))

    def _expected(self, load: Load) -> float:
        for length in range(len(load.kind), -1, -1):
            seconds, weight = self._ended.get(load.kind[:length], (0.0, 0.0))
            if weight:
                return seconds / weight * load.weight
        return 0.0
