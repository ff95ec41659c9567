"""What a training says while it runs: a line per interval, `log.csv`, and TensorBoard if wanted.

Nothing here changes a number of the run.
"""

import csv
import sys
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.common.progress import clock
from tcmbench.training.course import Course, peak_memory_mb
from tcmbench.training.data import Batch
from tcmbench.training.objective import ACTIVE
from tcmbench.training.scaling import SKIPPED

NAME = "log.csv"
TERMS = ("total", "base", "tcm")
MEASURED = ("images_per_second", "memory_mb", "wall_time_s")
COLUMNS = ("epoch", "step", *TERMS, *ACTIVE, SKIPPED, *MEASURED)
TERMINAL_SECONDS = 2.0


@dataclass(frozen=True)
class Watching:
    """How a training is watched and how often it is saved; changes no number of it."""

    log_seconds: float = 20.0
    checkpoint_minutes: float = 10.0
    tensorboard: bool = False


class Journal:
    """Writes rows of `COLUMNS`; epochs and steps count from 1.

    Args:
        folder: of the run.
        watching: intervals and switches.
        course: where the training continues; later rows of an earlier process are dropped.
        epochs: of the whole training.

    Raises:
        UserError: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, watching: Watching, course: Course, epochs: int) -> None:
        self.epochs = epochs
        self.file = folder / NAME
        self.terminal = sys.stderr.isatty()
        self.seconds = min(watching.log_seconds, TERMINAL_SECONDS if self.terminal else inf)
        self.board = _board(folder, course.steps) if watching.tensorboard else None
        _cut(self.file, (course.epoch + 1, course.step))
        self._last = time.monotonic()

    def due(self) -> bool:
        """Say whether the interval has passed since the last line."""
        return time.monotonic() - self._last >= self.seconds

    def row(self, course: Course, batch: Batch, values: dict[str, float]) -> None:
        """Append a row to the log, where it survives a kill; print it where a line is due.

        Args:
            course: with the step just taken counted.
            batch: of that step.
            values: its terms by name.
        """
        row = {
            "epoch": batch.epoch + 1,
            "step": batch.step + 1,
            **values,
            "images_per_second": round(course.rate(), 1),
            "memory_mb": round(peak_memory_mb(course.device)),
            "wall_time_s": round(course.wall, 1),
        }
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerow(row)
        if self.board is not None:
            for name in COLUMNS[2:]:
                if name in row:
                    self.board.add_scalar(name, row[name], course.steps)
        if self.due():
            self._last = time.monotonic()
            self._print(_line(row, batch, self.epochs), passing=self.terminal)

    def epoch(self, curve: list[dict[str, float]]) -> None:
        """Say what an epoch came to."""
        last = curve[-1]
        left = sum(entry["seconds"] for entry in curve) / len(curve) * (self.epochs - len(curve))
        rate = last["images"] / last["seconds"]
        self._print(
            f"epoch {len(curve)} of {self.epochs}: {_terms(last)}, {rate:.0f} images/s, "
            f"{left:.0f} s left"
        )

    def close(self) -> None:
        """Write out what TensorBoard has not written yet."""
        if self.board is not None:
            self.board.close()

    def _print(self, line: str, passing: bool = False) -> None:
        # On a terminal the next line overwrites a passing one; the code wipes what is longer.
        text = f"\r{line}\x1b[K" if self.terminal else line
        print(text, end="" if passing else "\n", file=sys.stderr, flush=True)


class Silence:
    """The journal of a process that another one speaks for."""

    def due(self) -> bool:
        """Say that no line is due."""
        return False

    def row(self, course: Course, batch: Batch, values: dict[str, float]) -> None:
        """Leave a row out."""

    def epoch(self, curve: list[dict[str, float]]) -> None:
        """Leave an epoch's line out."""

    def close(self) -> None:
        """Have nothing to write out."""


def _line(row: dict[str, float], batch: Batch, epochs: int) -> str:
    rate = row["images_per_second"]
    steps = batch.steps - batch.step - 1 + batch.steps * (epochs - batch.epoch - 1)
    left = clock(steps * batch.images / rate) if rate else "unknown time"
    return (
        f"epoch {row['epoch']} of {epochs}, step {row['step']} of {batch.steps}: {_terms(row)}, "
        f"{rate:,.0f} images/s, {row['memory_mb'] / 1e3:.1f} GB, {left} left"
    )


def _terms(values: dict[str, float]) -> str:
    terms = [f"{name} {values[name]:.4f}" for name in TERMS if name in values]
    shares = [f"{100 * values[name]:.1f} %" for name in ACTIVE if name in values]
    pairs = [f"active pairs {shares[0]} of positive, {shares[1]} of negative"] if shares else []
    skipped = [f"{values[SKIPPED]} steps skipped"] if values.get(SKIPPED) else []
    return ", ".join([*terms, *pairs, *skipped])


def _cut(file: Path, place: tuple[int, int]) -> None:
    """Leave the header and the rows up to `place`; a row that a kill cut short goes too."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[1:] if file.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole if tuple(map(int, line.split(",")[:2])) <= place]
    with atomic_path(file) as temporary:
        temporary.write_text(",".join(COLUMNS) + "\n" + "".join(kept), encoding="utf-8")


def _board(folder: Path, steps: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "TensorBoard is not installed; pip install tensorboard, or set training.tensorboard "
            "to false"
        ) from None
    # Events after the checkpoint belong to steps that are taken again.
    return SummaryWriter(str(folder / "tensorboard"), purge_step=steps + 1)
