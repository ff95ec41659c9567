"""Requests to stop: a cluster's time limit (SIGTERM) and Ctrl-C (SIGINT) let a step end first."""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """While entered, the first request is only noted; a second one acts as it would without this.

    Signals reach the main thread alone; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
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

    def leave(self, place: str) -> None:
        """Leave the process, with the exit code of a process ended by the signal.

        Raises:
            KeyboardInterrupt: for SIGINT, which every command answers with exit code 130.
            SystemExit: for SIGTERM, with 143.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        assert self.signal is not None
        print(f"{self.signal.name}: saved after {place}; --resume continues", file=sys.stderr)
        sys.exit(128 + self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.signal = signal.Signals(number)
        self._release()

    def _release(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}
