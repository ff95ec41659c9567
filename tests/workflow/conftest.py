"""The quick suite runs once for all tests of this folder."""

import time
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout, QuickSuite, fresh_checkout, make_quick


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("workflow")


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> QuickSuite:
    """Run the quick suite once, from nothing to its report."""
    checkout = fresh_checkout(tmp_path_factory.mktemp("quick") / "tcm-bench")
    started = time.monotonic()
    done = make_quick(checkout)
    seconds = time.monotonic() - started
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return QuickSuite(checkout, done.stdout + done.stderr, seconds)


@pytest.fixture
def empty(tmp_path: Path) -> Checkout:
    """A fresh copy of the repository without results."""
    return fresh_checkout(tmp_path / "tcm-bench")
