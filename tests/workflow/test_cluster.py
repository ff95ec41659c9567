"""Jobs that run on other machines: the machine that submits limits and repeats nothing."""

import re
import shutil
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.workflow.checkout import Checkout
from tests.workflow.stubs import FOLDER, TRAINING, prepare, starts, stub

REFUSED = "print('error: no such thing', file=sys.stderr); note(); sys.exit(2)"
NOTE = "note = lambda: open('ran.txt', 'a').write('0 0 failed\\n')\n"
THREADS = 'import sys\nprint("threads", sys.argv[sys.argv.index("--threads") + 1])\nsys.exit(2)\n'


@pytest.fixture
def submit(empty: Checkout, tmp_path: Path):
    """Run Snakemake on the toy cluster; this machine has one GPU."""
    plugin = tmp_path / "plugins/snakemake_executor_plugin_toy/__init__.py"
    plugin.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests/workflow/toy_cluster.py", plugin)
    options = ("--executor", "toy", "--jobs", "8", "--seconds-between-status-checks", "1")
    here = {"PYTHONPATH": str(tmp_path / "plugins"), "CUDA_VISIBLE_DEVICES": "0"}

    def run(*arguments: str):
        return empty.run("snakemake", *options, *arguments, **here)

    prepare(empty, seeds=3)
    return run


def test_trainings_run_side_by_side_whatever_gpus_the_submitting_machine_has(
    submit, empty: Checkout
) -> None:
    # Each waits for the others: one at a time, they would wait in vain.
    waiting = (
        "Path(f'{folder.name}.began').touch()\n"
        "while len(list(Path('.').glob('*.began'))) < 3:\n"
        "    assert time.time() < began + 120, 'alone'\n"
        "    time.sleep(0.1)"
    )
    stub(empty, waiting)
    models = [f"{Path(FOLDER).parent}/seed{seed}/model.safetensors" for seed in range(3)]
    done = submit("--config", "device=cuda", *TRAINING[:-1], *models)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(starts(empty)) == 3


def test_a_refused_job_is_submitted_once_and_its_reason_is_said(submit, empty: Checkout) -> None:
    stub(empty, NOTE + REFUSED)
    done = submit("--quiet", "all", "--retries", "2", *TRAINING)
    assert done.returncode != 0
    assert len(starts(empty)) == 1
    log = f"{FOLDER}/train.log"
    assert f"[tcm-bench] train_smooth_ap failed: error: no such thing (log: {log})" in done.stderr


def test_a_preparation_of_full_scale_takes_its_share_of_a_node(submit, empty: Checkout) -> None:
    """The machine that submits is given no number of cores."""
    folder = empty.folder / "results/data/full/cub"
    receipt = folder / "archives/CUB_200_2011.tgz.verified.json"
    receipt.parent.mkdir(parents=True)
    receipt.write_text("{}")
    (empty.folder / "src/prepare.py").write_text(THREADS)
    options = ("--config", "suite=paper", "check_disk=False", "--allowed-rules", "prepare", "--")
    submit(*options, "results/data/full/cub/train.csv")
    log = (folder / "logs/prepare.log").read_text()
    assert re.fullmatch(r"threads [1-9]\d*\n", log)
