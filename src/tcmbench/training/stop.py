"""Requests to stop: a cluster's time limit (SIGTERM) and Ctrl-C (SIGINT) let a step end first."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

from tcmbench.training.crew import ALONE, Crew

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """While entered, the first request is only noted; a second one acts as it would without this.

    Of several processes each gets the request from torchrun, and often once more from the cluster:
    there all are only noted. Signals reach the main thread alone; elsewhere this does nothing.

    Attributes:
        signal: number of the signal that asked, 0 for none.
    """

    def __init__(self, crew: Crew = ALONE) -> None:
        self.signal = 0
        self.crew = crew
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def leave(self, number: int, place: str) -> None:
        """Leave the process, with the exit code of a process ended by signal `number`.

        Raises:
            KeyboardInterrupt: for SIGINT, which every command answers with exit code 130.
            SystemExit: for SIGTERM, with 143.
        """
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.crew.leads:
            name = signal.Signals(number).name
            print(f"{name}: saved after {place}; --resume continues", file=sys.stderr)
        sys.exit(128 + number)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.signal = number
        if self.crew.size == 1:
            self._release()

    def _release(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}
