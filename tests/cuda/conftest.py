"""A GPU as a fixture, real or pretended; continuous integration has to have what it takes."""

import os
import shutil
from collections.abc import Iterator

import pytest
import torch

from tcmbench.common import devices
from tests.cuda.pretended import gpu
from tests.cuda.rules import Rules
from tests.cuda.watched import Watched, watched


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rules | Watched]:
    """The real GPU, or the rules of one that torch believes in during one test."""
    # Its lock ends with the test, where that of a GPU is held as long as a process lives.
    monkeypatch.setattr(devices, "_held", {})
    real = torch.cuda.is_available()
    if not real and shutil.which("g++") is None:
        reason = "no GPU can be pretended without g++, which compiles tests/cuda/driver.cpp"
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    with watched() if real else gpu() as seen:
        yield seen
    for lock in devices._held.values():
        os.close(lock)
