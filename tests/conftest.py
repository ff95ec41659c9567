"""One thread, here and in the commands that tests start: the same bits, and no crowding."""

import os
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and its images; tests only read it."""
    from tiny_data import write_images

    folder = tmp_path_factory.mktemp("tiny")
    write_images(folder)
    return folder
