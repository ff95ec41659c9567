"""Threads that check, shrink and write images, with a bound on what waits for them."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tcmbench.common.progress import Progress

# Images that were read and not yet written: bytes in all, and files a thread.
WAITING_BYTES = 128 * 2**20
WAITING_FILES = 32


class Workers:
    """A pool of threads with a bounded queue; the first failure, in order of submission, counts.

    Why images cannot be decoded is noted in `unreadable`, by name.
    """

    def __init__(self, threads: int, progress: Progress, unreadable: dict[str, str]) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._most = threads * WAITING_FILES
        self._waiting: deque[tuple[int, str, Future[str | None]]] = deque()
        self._bytes = 0
        self._progress = progress
        self._unreadable = unreadable

    def submit(self, size: int, name: str, work: Callable[[], str | None]) -> None:
        """Have an image of `size` bytes worked on; what comes back is why it cannot be decoded."""
        self._waiting.append((size, name, self._pool.submit(work)))
        self._bytes += size
        while self._bytes > WAITING_BYTES or len(self._waiting) > self._most:
            self._collect()

    def finish(self) -> None:
        """Wait for all."""
        while self._waiting:
            self._collect()

    def _collect(self) -> None:
        size, name, future = self._waiting.popleft()
        reason = future.result()
        if reason is not None:
            self._unreadable[name] = reason
        self._bytes -= size
        self._progress.update()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
