"""Python threads that each work on small pieces alone, instead of sharing every operation."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Done = TypeVar("Done")
# Those of the counting pass have tables of their own, in memory.
_MOST = 16


def workers() -> int:
    """Return how many threads work on pieces of a CPU's work: torch's number, within reason."""
    return min(torch.get_num_threads(), _MOST)


def pool(threads: int) -> ThreadPoolExecutor:
    """Return threads in each of which torch uses one; to be used within `one_thread`."""
    # The libraries below torch remember their number for each thread that calls them.
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


def spread(work: Callable[[Item], Done], items: Iterable[Item], threads: int) -> Iterator[Done]:
    """Return the work done on each item, in order; a few items are worked on ahead."""
    if threads == 1:
        yield from map(work, items)
        return
    with one_thread(True), pool(threads) as at_work:
        ahead: deque[Future[Done]] = deque()
        for item in items:
            ahead.append(at_work.submit(work, item))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@contextmanager
def one_thread(where: bool) -> Iterator[None]:
    """Use one thread, where that is so, for operations too small to be shared."""
    before = torch.get_num_threads()
    if where:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
