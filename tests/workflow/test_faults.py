"""Eight of the fifty kills of `make faults`, two workflows in one folder, and clocks that jump.

The cut suite begins with the data and the start weights of the quick suite.
"""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.faults.kills import LOCKED, VICTIMS, awaited, fault, started
from tests.faults.suite import RUN, Suite, plain
from tests.paths import ROOT
from tests.workflow.checkout import QuickSuite

SEEDS = range(8)
PRESENT = "find results -newermt now -exec touch {} +"


@pytest.fixture(scope="module")
def suite(quick: QuickSuite, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    folder: Path = tmp_path_factory.mktemp("faults") / "tcm-bench"
    return Suite.finished(quick.checkout.copy(folder))


def test_the_seeds_kill_each_kind_of_process() -> None:
    assert {VICTIMS[seed % len(VICTIMS)] for seed in SEEDS} == set(VICTIMS)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_kill_a_plain_call_ends_as_if_nothing_had_been(suite: Suite, seed: int) -> None:
    outcome = fault(suite, seed)
    assert not outcome.half, outcome
    assert not outcome.differences, outcome


def test_two_workflows_in_one_folder(suite: Suite) -> None:
    """The second is refused, in a sentence that docs/troubleshooting.md has, and harms nothing."""
    call = ["tables", "--forcerun", f"{RUN}/model.safetensors"]
    first = started(suite, call)
    assert awaited(first, "train.py", random.Random(0)) is not None
    second = plain(suite.checkout)
    assert second.returncode != 0
    assert LOCKED in second.stderr
    assert first.wait() == 0
    assert not suite.differences()


def test_clocks_that_jump_change_no_number(suite: Suite) -> None:
    """Files of 1980 and of the day after tomorrow are made again at worst, with equal bytes.

    From an input of the future Snakemake makes nothing, and says so: docs/troubleshooting.md has
    the command that brings them back.
    """
    chance = random.Random(0)
    files = [path for path in (suite.checkout.folder / "results").rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, (moment := chance.choice([315532800, time.time() + 172800]), moment))
    assert PRESENT in (ROOT / "docs/troubleshooting.md").read_text()
    assert suite.checkout.run("sh", "-c", PRESENT).returncode == 0
    assert max(path.stat().st_mtime for path in files) <= time.time()
    done = plain(suite.checkout)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not suite.differences()


def test_a_run_without_a_record_of_snakemakes_is_compared_with_the_configuration(
    suite: Suite, tmp_path: Path
) -> None:
    """As a training leaves it that outlived its Snakemake: no trigger would notice other epochs."""
    checkout = suite.checkout.copy(tmp_path / "tcm-bench")
    shutil.rmtree(checkout.folder / ".snakemake")
    # Without records of its own Snakemake goes by the times of files, which another test has moved.
    now = time.time()
    for path in (checkout.folder / "results").rglob("*"):
        os.utime(path, (now, now))
    assert checkout.planned("tables") == {}
    with checkout.edited("config.yaml", ("epochs: 2\n", "epochs: 3\n")):
        said = checkout.snakemake("tables", "-n").stderr
        planned = checkout.planned("tables")
    assert planned["train_smooth_ap"] == planned["embed"] == planned["evaluate"] == 2
    assert (
        "seed0/run.json is of another configuration (optimization.epochs was 2, now 3; so are 1 "
        "more), trained again"
    ) in said
