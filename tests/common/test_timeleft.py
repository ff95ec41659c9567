"""The time left: by hand on a few jobs, and on a whole quick suite with a simulated clock."""

import csv
import heapq
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcmbench.common.timeleft import Load, TimeLeft
from tcmbench.plan.effort import USUAL, load

TABLE = Path(__file__).with_name("quick_durations.csv").read_text().splitlines()
JOBS = list(csv.DictReader(line for line in TABLE if not line.startswith("#")))
# What Snakemake adds to each job, in seconds.
BETWEEN = 0.4
RUN = ("dataset", "backbone", "loss", "variant")
# The stages of the workflow in their order, by the beginning of a rule's name.
STAGES = (
    *("miniature", "download", "prepare", "weights", "train", "embed", "evaluate", "comparisons"),
    *("claims", "figure", "page", "deviations"),
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_kinds_are_told_from_the_particular_to_the_general() -> None:
    clock = Clock()
    big, small = Load(("train", "big")), Load(("train", "small"), 2.0)
    time = TimeLeft({1: big, 2: big, 3: small, 4: Load(("embed", "big"), 3.0)}, clock)
    assert time.seconds() == 0
    time.start(1)
    clock.now += 10
    assert time.finish(1)
    # 10 s a unit of weight: 10 for the second, 20 for the third, 30 for an unknown kind.
    assert time.seconds() == pytest.approx(60)
    time.start(3)
    clock.now += 8
    assert time.finish(3)
    # Small ones now take 4 s a unit, and all jobs 18 s for 3 units.
    assert time.seconds() == pytest.approx(10 + 3 * 18 / 3)
    assert not time.finish(3)


def test_what_runs_counts_with_its_rest_and_side_by_side() -> None:
    clock = Clock()
    time = TimeLeft({number: Load(("a",)) for number in range(6)}, clock)
    time.start(0)
    time.start(1)
    clock.now += 10
    time.finish(0)
    time.finish(1)
    time.start(2)
    time.start(3)
    clock.now += 5
    # Two at a time: 30 s of work in 15; left are 2 x 5 and 2 x 10.
    assert time.seconds() == pytest.approx(30 / 2)
    for number in (2, 3, 4):
        time.start(number)
    # A job that takes longer than the others is not counted below nothing.
    clock.now += 100
    assert time.seconds() == pytest.approx(10)


def simulated(order: str, cores: int) -> Iterator[tuple[float, float]]:
    """Yield the true time left and the estimated one, after each job from the third run on."""
    clock, chance = Clock(), random.Random(7)
    time = TimeLeft(
        {number: load(job["rule"], job["backbone"]) for number, job in enumerate(JOBS)}, clock
    )
    waits = [
        {before for before in range(len(JOBS)) if _needs(JOBS[number], JOBS[before])}
        for number in range(len(JOBS))
    ]
    begun: set[int] = set()
    ended: set[int] = set()
    running: list[tuple[float, int]] = []
    seen: list[tuple[float, float]] = []
    while len(ended) < len(JOBS):
        ready = [n for n in range(len(JOBS)) if n not in begun and waits[n] <= ended]
        while ready and len(running) < cores:
            number = {
                "stages": min(ready, key=lambda n: (_stage(JOBS[n]), n)),
                "runs": max(ready, key=lambda n: (_stage(JOBS[n]), -n)),
                "chance": chance.choice(ready),
            }[order]
            ready.remove(number)
            begun.add(number)
            time.start(number)
            heapq.heappush(running, (clock.now + float(JOBS[number]["seconds"]) + BETWEEN, number))
        clock.now, number = heapq.heappop(running)
        ended.add(number)
        assert time.finish(number)
        if sum(JOBS[n]["rule"].startswith("train_") for n in ended) >= 3:
            seen.append((clock.now, time.seconds()))
    yield from ((clock.now - at, estimate) for at, estimate in seen[:-1])


def _stage(job: dict[str, str]) -> int:
    return next(n for n, name in enumerate(STAGES) if job["rule"].startswith(name))


def _needs(job: dict[str, str], before: dict[str, str]) -> bool:
    """Say whether a job of the quick suite waits for another."""
    rule, first = (STAGES[_stage(one)] for one in (job, before))
    if rule == "page":
        return first in ("figure", "claims")
    if rule == "figure" and not job["dataset"]:
        return first == "comparisons"
    if rule == "download":
        return before["rule"] == f"miniature_{job['dataset']}"
    needed = {
        "prepare": {"download": ("dataset",)},
        "train": {"prepare": ("dataset",), "weights": ("backbone",)},
        "embed": {"train": RUN},
        "evaluate": {"embed": RUN},
        "comparisons": {"evaluate": ()},
        "claims": {"comparisons": ()},
        "figure": {"evaluate": ("dataset",)},
    }.get(rule, {})
    return first in needed and all(job[key] == before[key] for key in needed[first])


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("order", ["stages", "runs", "chance"])
def test_the_quick_suites_time_is_right_within_a_factor_of_two(order: str, cores: int) -> None:
    told = list(simulated(order, cores))
    assert len(told) > 100
    for true, estimate in told:
        # Of the last seconds a factor says little.
        assert true / 2 <= estimate <= 2 * true or abs(estimate - true) < 5, (true, estimate)


def test_a_rule_is_known_by_the_beginning_of_its_name() -> None:
    assert load("train_circle", "big") == Load(("train", "big"), USUAL["train_"])
    assert load("train_circle", "big", 3600.0) == Load(("train", "big"), 3600.0)
    assert load("figure_utility").weight == USUAL["figure_"]
    assert load("download", mb=2000).weight == USUAL["download"] + 100
