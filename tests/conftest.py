"""What all tests share, here and in the commands that they start."""

import ast
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import pytest

# One thread: the same bits, and no crowding.
os.environ["OMP_NUM_THREADS"] = "1"
# What torch, timm and pandas load stays: to look it through again and again took a tenth.
gc.set_threshold(50_000)
# A shell starts background jobs, and all below them, deaf to SIGINT; commands under test must hear.
signal.signal(signal.SIGINT, signal.default_int_handler)
WORKFLOW = Path(__file__).parent / "workflow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole workflows, and of these with what needs the quick suite."""
    needs_quick = users_of("quick", WORKFLOW)

    def rank(item: pytest.Item) -> tuple[bool, bool]:
        name = (item.path.name, item.name.partition("[")[0])
        return WORKFLOW not in item.path.parents, name not in needs_quick

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share files out among processes, and give all that needs the quick suite to one of them."""
    from xdist.scheduler import LoadScopeScheduling

    needs_quick = users_of("quick", WORKFLOW)
    # As collected: the longest first, so that no process waits for another at the end.
    config.option.loadscopereorder = False

    class ByFixture(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return "quick" if (Path(file).name, test.partition("[")[0]) in needs_quick else file

    return ByFixture(config, log)


def users_of(fixture: str, folder: Path) -> set[tuple[str, str]]:
    """Return file and name of each test that takes a fixture, or one of its file that does."""
    found = set()
    for path in folder.glob("test_*.py"):
        functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
        taken = {f.name: {argument.arg for argument in f.args.args} for f in functions}
        wanted = {fixture}
        for _ in taken:
            wanted |= {name for name, arguments in taken.items() if arguments & wanted}
        found |= {(path.name, name) for name in wanted}
    return found


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for temporary files of this process alone, and of the commands that it starts.

    Locks of GPUs are in it: one process of tests would wait for what another has claimed. It is not
    below pytest's, since paths of sockets have to be short.
    """
    tmp_path_factory.getbasetemp()
    folder = tempfile.mkdtemp(prefix="tests-")
    # Removed after the folder that multiprocessing keeps in it, whose own removal would fail.
    Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-200)
    with pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o1777)  # as /tmp: commands under test work as other users too
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and its images; tests only read it."""
    from tests.training.tiny_data import write_images

    folder = tmp_path_factory.mktemp("tiny")
    write_images(folder)
    return folder
