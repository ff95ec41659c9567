"""A process that one command has to itself: quick to start, and quick to leave."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Importing timm makes 390,000 objects that stay; by Python's own threshold they are looked through
# 950 times. What a command makes later is freed by its count of references, cycles excepted.
YOUNG = 500_000


@contextmanager
def own_process() -> Iterator[None]:
    """Spend no time on memory that the end of the process frees anyway.

    Fewer collections while packages are imported, and no dismantling of them, object by object, at
    the end: 1.8 of 4.3 processor seconds of a process that imports timm and ends (`hard_exit` of
    mypy does the same). What was registered with `atexit` in between is called, threads are waited
    for, and streams are flushed; an error keeps its traceback and exit code 1.
    """
    gc.set_threshold(YOUNG)
    status = [1]
    # The first to be registered is the last to be called.
    atexit.register(_leave, status)
    try:
        yield
        status[0] = 0
    except SystemExit as stop:
        code = stop.code
        status[0] = code if isinstance(code, int) else int(code is not None)
        raise


def _leave(status: list[int]) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # nobody reads what is left: Python itself says so, and ends with its own code
    os._exit(status[0])
