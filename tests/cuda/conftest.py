"""A pretended GPU as a fixture; continuous integration has to have what it takes."""

import os
import shutil
from collections.abc import Iterator

import pytest
import torch

from tcmbench.common import devices
from tests.cuda.pretended import gpu
from tests.cuda.rules import Rules


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rules]:
    """The rules of a GPU that torch believes in during one test."""
    # Its lock ends with the test, where that of a GPU is held as long as a process lives.
    monkeypatch.setattr(devices, "_held", {})
    if torch.cuda.is_available():
        pytest.skip("there is a real GPU")
    if shutil.which("g++") is None:
        reason = "no GPU can be pretended without g++, which compiles tests/cuda/driver.cpp"
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    with gpu() as pretended:
        yield pretended
    for lock in devices._held.values():
        os.close(lock)
