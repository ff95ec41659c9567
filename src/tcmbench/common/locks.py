"""One process at a time: locks of the kernel, with a word on who holds them.

`filelock` locks by flock, which the kernel undoes when its owner dies, so a lock file that a killed
process left behind locks nothing. Where a file system has no flock it falls back to a marker file,
and removes the marker of a process that is gone from the same host (filelock 4.2 `SoftFileLock`).
"""

import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, write_json


@contextmanager
def exclusive(
    target: Path,
    what: str,
    *,
    part: Path | None = None,
    notice_s: float = 60,
    quiet_s: float = 600,
    meanwhile: Callable[[], object] = bool,
) -> Iterator[None]:
    """Hold the lock of `target` (`.NAME.lock` beside it); wait for it, and say for whom.

    Args:
        target: the file or folder that one process at a time makes.
        what: what the holder does, such as "downloads cub.tgz", for the message.
        part: a file that grows while the holder makes progress.
        notice_s: time between two lines about the wait, seconds; the first comes at once.
        quiet_s: how long `part` may stand still before a line says so, seconds.
        meanwhile: called after each line about the wait.
    """
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    holder = target.with_name(f".{target.name}.holder.json")
    watch = _Watch(what, holder, part, quiet_s)
    wait = min(0.2, notice_s)
    while True:
        try:
            with warnings.catch_warnings():
                # The library warns of its own fall back, which is what we want.
                warnings.simplefilter("ignore")
                lock.acquire(timeout=wait)
            break
        except Timeout:
            watch.tell()
            meanwhile()
            wait = notice_s
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(holder, {"host": socket.gethostname(), "pid": os.getpid(), "since": started})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


class _Watch:
    """Lines about a wait: who holds the lock, and whether anything arrives there."""

    def __init__(self, what: str, holder: Path, part: Path | None, quiet_s: float) -> None:
        self._what = what
        self._holder = holder
        self._part = part
        self._quiet_s = quiet_s
        self._size = -1
        self._since = time.monotonic()

    def tell(self) -> None:
        line = f"waiting for {self._who()}, which {self._what}"
        if self._part is not None:
            line += self._growth(self._part)
        print(line, file=sys.stderr, flush=True)

    def _growth(self, part: Path) -> str:
        size = part.stat().st_size if part.exists() else 0
        now = time.monotonic()
        if size != self._size:
            self._size, self._since = size, now
        grown = f" ({size / 1e6:,.0f} MB so far)"
        if now - self._since < self._quiet_s:
            return grown
        return (
            f"{grown}; nothing has arrived there for {now - self._since:.0f} s, end it if it hangs"
        )

    def _who(self) -> str:
        try:
            known = read_json(self._holder)
            return f"process {known['pid']} on {known['host']} (since {known['since']})"
        except (UserError, KeyError, TypeError):
            return "another process"
