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

    What comes of an image is noted by its name: why it cannot be decoded in `unreadable`, or the
    checksum of what was written in `sums`.
    """

    def __init__(
        self,
        threads: int,
        progress: Progress,
        unreadable: dict[str, str],
        sums: dict[str, int],
    ) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._most = threads * WAITING_FILES
        self._waiting: deque[tuple[int, str, Future[str | int]]] = deque()
        self._bytes = 0
        self._progress = progress
        self._unreadable = unreadable
        self._sums = sums

    def submit(self, size: int, name: str, work: Callable[[], str | int]) -> None:
        """Have an image of `size` bytes worked on."""
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
        found = future.result()
        if isinstance(found, str):
            self._unreadable[name] = found
        else:
            self._sums[name] = found
        self._bytes -= size
        self._progress.update()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
