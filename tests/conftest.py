"""What all tests share, here and in the commands that they start."""

import os
import signal
from pathlib import Path

import pytest

# One thread: the same bits, and no crowding.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell starts background jobs, and all below them, deaf to SIGINT; commands under test must hear.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares a fixture, where several processes run the tests."""
    for item in items:
        shares_quick = "quick" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("quick" if shares_quick else str(item.path)))


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and its images; tests only read it."""
    from tests.training.tiny_data import write_images

    folder = tmp_path_factory.mktemp("tiny")
    write_images(folder)
    return folder
