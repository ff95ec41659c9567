"""One line on standard error for work that takes more than a few seconds."""

import sys
import time
from types import TracebackType
from typing import Self


class Progress:
    """Say now and then how much of `total` is done, how fast it goes, and the time left.

    Nothing is said before the first interval has passed, so short work stays silent. A terminal
    has its line rewritten every 2 s; a log file gets a new line every 20 s.
    """

    def __init__(self, total: float | None, unit: str, label: str) -> None:
        self.total = total
        self.unit = unit
        self.label = label
        self.done = 0.0
        self._terminal = sys.stderr.isatty()
        self._interval = 2.0 if self._terminal else 20.0
        self._start = self._last = time.monotonic()
        self._shown = False

    def update(self, amount: float = 1) -> None:
        """Add `amount` units of finished work."""
        self.done += amount
        now = time.monotonic()
        if now - self._last >= self._interval:
            self._last = now
            self._shown = True
            line = self._line(self.done / (now - self._start))
            # The escape code wipes the rest of a longer line that stood there before.
            text = f"\r{line}\x1b[K" if self._terminal else f"{line}\n"
            print(text, end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown and self._terminal:
            print(file=sys.stderr)

    def _line(self, rate: float) -> str:
        speed = f"{rate:,.1f} {self.unit}/s"
        if self.total is None:
            return f"{self.label}: {self.done:,.0f} {self.unit}, {speed}"
        left = clock(max(self.total - self.done, 0) / rate) if rate else "unknown time"
        amount = f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"
        return f"{self.label}: {amount}, {speed}, {left} left"


def clock(seconds: float) -> str:
    """Return mm:ss, or h:mm:ss from one hour on."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"
