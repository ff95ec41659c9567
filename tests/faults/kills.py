"""kill -9 of a random process of the suite at a random moment, and a plain re-run after it."""

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.suite import RUN, Suite, plain
from tests.workflow.checkout import with_this_python

TABLES = "tables"
DATA = ("results/data/miniature/cub/train.csv", "results/data/miniature/cub/test.csv")
# What is killed, and the words behind `snakemake --cores 2` that have it run once more.
CALLS: dict[str, list[list[str]]] = {
    "download.py": [[*DATA, "--forcerun", "download"]],
    "train.py": [[TABLES, "--forcerun", f"{RUN}/model.safetensors"]],
    "aggregate.py": [[TABLES, "--forcerun", "comparisons"]],
}
CALLS["snakemake"] = CALLS["any"] = [
    *(call for calls in CALLS.values() for call in calls),
    [*DATA, "--forcerun", "prepare"],
    [TABLES, "--forcerun", f"{RUN}/embeddings.npz"],
]
BENCHMARKS = {
    "download.py": "results/data/miniature/cub/logs/download_CUB_200_2011.tgz.benchmark.tsv",
    "train.py": f"{RUN}/train.benchmark.tsv",
    "aggregate.py": "results/tables/quick/comparisons.benchmark.tsv",
}
VICTIMS = tuple(CALLS)
# The one command that a person may have to type, as docs/troubleshooting.md has it.
UNLOCK = "--unlock"
LOCKED = "Directory cannot be locked"
TRIES = 6


@dataclass(frozen=True)
class Outcome:
    """What was killed, how long after it had started, and what followed."""

    seed: int
    victim: str
    call: str
    seconds: float
    unlocked: bool
    half: list[str]
    differences: list[str]

    def __str__(self) -> str:
        found = [*(f"half: {name}" for name in self.half), *self.differences]
        after = "unlocked, " if self.unlocked else ""
        return (
            f"{self.seed:3} {self.victim:12} after {self.seconds:5.1f} s of {self.call}: {after}"
            f"{', '.join(found) or 'as undisturbed'}"
        )


def fault(suite: Suite, seed: int) -> Outcome:
    """Kill a process, run the suite again, and compare; the seed decides what and when."""
    chance = random.Random(seed)
    victim = VICTIMS[seed % len(VICTIMS)]
    call = chance.choice(CALLS[victim])
    seconds = killed(suite, victim, call, chance)
    half = suite.half_files()
    unlocked = run_again(suite)
    wait_for_orphans(suite.checkout.folder)
    return Outcome(seed, victim, call[-1], seconds, unlocked, half, suite.differences())


def killed(suite: Suite, victim: str, call: list[str], chance: random.Random) -> float:
    """Run a call and kill; where the victim was gone before its time, again, and sooner."""
    longest = lifetime(suite, victim)
    for _ in range(TRIES):
        began = time.monotonic()
        process = started(suite, call)
        target = awaited(process, victim, chance)
        born = time.monotonic()
        moment = chance.uniform(0, longest)
        gone = target is None or not alive_for(target, moment)
        longest = min(longest, time.monotonic() - born)
        if target is not None and not gone:
            target.kill()
            seconds = time.monotonic() - began
            if victim != "snakemake":
                # It tries again by itself, or fails.
                process.wait()
            return seconds
        process.wait()
    raise AssertionError(f"{victim} was never met alive")


def lifetime(suite: Suite, victim: str) -> float:
    """Return about how many seconds a process took when nothing disturbed it."""
    table = (suite.checkout.folder / BENCHMARKS.get(victim, BENCHMARKS["train.py"])).read_text()
    return float(table.splitlines()[1].split("\t")[0])


def started(suite: Suite, call: list[str]) -> subprocess.Popen[bytes]:
    """Start the workflow on a part of the suite."""
    return subprocess.Popen(
        ["snakemake", "--cores", "2", *call, "--config", "suite=quick"],
        cwd=suite.checkout.folder,
        env=with_this_python(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def awaited(
    process: subprocess.Popen[bytes], victim: str, chance: random.Random
) -> psutil.Process | None:
    """Return the process that is to be killed once it is there; None where it never comes."""
    top = psutil.Process(process.pid)
    # Snakemake is killed while it has jobs, which outlive it.
    kind = "any" if victim == "snakemake" else victim
    while process.poll() is None:
        below = [child for child in _children(top) if _is(child, kind)]
        if below:
            return top if victim == "snakemake" else chance.choice(below)
        time.sleep(0.02)
    return None


def alive_for(target: psutil.Process, seconds: float) -> bool:
    """Say whether a process still runs after so many seconds."""
    try:
        target.wait(seconds)
    except psutil.TimeoutExpired:
        return target.is_running()
    return False


def run_again(suite: Suite) -> bool:
    """Run the suite to its end; say whether the one command was needed."""
    done = plain(suite.checkout)
    locked = LOCKED in done.stderr + done.stdout
    if locked:
        freed = plain(suite.checkout, UNLOCK)
        assert freed.returncode == 0, freed.stderr[-2000:]
        done = plain(suite.checkout)
    assert done.returncode == 0, done.stderr[-3000:]
    return locked


def wait_for_orphans(folder: Path) -> None:
    """Wait for what a killed Snakemake has left running."""
    _wait(lambda: any(_cwd(process) == str(folder) for process in psutil.process_iter()))


def _wait(busy: Callable[[], bool], seconds: float = 600) -> None:
    ends = time.monotonic() + seconds
    while busy():
        assert time.monotonic() < ends, "a process of the killed workflow hangs"
        time.sleep(0.1)


def _children(top: psutil.Process) -> list[psutil.Process]:
    try:
        return sorted(top.children(recursive=True), key=lambda child: child.pid)
    except psutil.NoSuchProcess:
        return []


def _is(process: psutil.Process, victim: str) -> bool:
    """Say whether a process is the command itself and not the shell that started it."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    if victim == "any":
        return bool(words)
    # One that has just ended has no command any more.
    script = words[1] if len(words) > 1 else ""
    return script.endswith(f"src/{victim}") and "python" in Path(words[0]).name


def _cwd(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except psutil.Error:
        return None
