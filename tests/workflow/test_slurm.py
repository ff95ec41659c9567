"""The Slurm profile on a real Slurm with two pretended GPUs, with jobs and Snakemake killed."""

import hashlib
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow import slurm
from tests.workflow.checkout import Checkout, fresh_checkout
from tests.workflow.slurm import Cluster

pytestmark = pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing() or "-")

TABLE = "results/tables/quick/comparisons.csv"
SUITE = {
    "scale": "miniature",
    "datasets": ["cub"],
    "backbones": ["test_resnet", "test_vit"],
    "losses": ["smooth_ap"],
}
CELLS = [(network, variant) for network in SUITE["backbones"] for variant in ("base", "tcm")]
# Long enough to be caught in the middle: with fewer epochs a training might end before its kill.
EPOCHS = {"test_resnet": 40, "test_vit": 30}
SEED0 = "results/runs/cub/{}/smooth_ap/{}/seed0"
# A GPU for each training and a quicker look than a cluster should be given.
OPTIONS = (
    *("--workflow-profile", "workflow/profiles/slurm", "--configfile", "one.yaml"),
    *("--set-resources", "train_smooth_ap:gpu=1", "train_smooth_ap:gpu_model=toy"),
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"),
    *("--latency-wait", "10", "--", TABLE),
)


def configured(checkout: Checkout) -> Checkout:
    """Write the configuration of the suite's slice."""
    config = yaml.safe_load((checkout.folder / "config.yaml").read_text())
    recipes = [
        {"where": {"backbone": name}, "set": {"epochs": epochs, "milestones": [epochs // 2]}}
        for name, epochs in EPOCHS.items()
    ]
    text = yaml.safe_dump(
        {
            "suite": "quick",
            "suites": {"quick": SUITE},
            "recipes": config["recipes"] + recipes,
            # One network is pretrained on the cluster; the other need not be waited for.
            "backbones": {"test_vit": {"weights": "none"}},
            "training": {"checkpoint_minutes": 0.02, "log_seconds": 1},
        }
    )
    (checkout.folder / "one.yaml").write_text(text)
    return checkout


def until(true: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Said to be large enough for jobs of the paper's suite, of which none is started.
    with ExitStack() as stack:
        started = slurm.started(tmp_path_factory.mktemp("slurm") / "toy", 64, 600_000)
        try:
            cluster = stack.enter_context(started)
        except (AssertionError, OSError) as error:
            pytest.skip(f"Slurm's daemons do not start on this machine: {error}")
        yield cluster


def trainings(cluster: Cluster, checkout: Checkout) -> dict[str, str]:
    """Return the GPU of each training that runs and has saved its state, by number of its job."""
    jobs = [number for number, rule in cluster.jobs().items() if "rule_train" in rule]
    saved = len(list(checkout.folder.glob("results/runs/**/last.ckpt")))
    gpus = {job: cluster.gpu(job) for job in jobs}
    return {job: gpu for job, gpu in gpus.items() if gpu} if saved >= len(jobs) else {}


def two_side_by_side(
    cluster: Cluster, checkout: Checkout, snakemake: subprocess.Popen[bytes]
) -> dict[str, str]:
    def both() -> dict[str, str]:
        assert snakemake.poll() is None, (checkout.folder / "snakemake.out").read_text()[-5000:]
        found = trainings(cluster, checkout)
        return found if len(found) == 2 else {}

    return until(both, "no two trainings side by side", 600)


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Run the slice on the cluster: a training killed, one requeued, then Snakemake killed."""
    checkout = configured(fresh_checkout(tmp_path_factory.mktemp("cluster") / "tcm-bench"))
    log = checkout.folder / "snakemake.out"
    first = checkout.start("snakemake", *OPTIONS, log=log, **cluster.environment)
    try:
        killed, requeued = two_side_by_side(cluster, checkout, first).items()
        # Seen at one time, on devices of their own.
        assert {killed[1], requeued[1]} == {"0", "1"}, log.read_text()
        cluster.ask("scancel", "--signal=KILL", killed[0])
        cluster.ask("scontrol", "requeue", requeued[0])
        until(lambda: requeued[0] in cluster.jobs("PENDING"), "not requeued")
        # The one is submitted again, the other is started again under its number.
        until(lambda: requeued[0] in trainings(cluster, checkout), "not started again", 600)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert cluster.jobs(), "its jobs were to outlive Snakemake"
    cluster.ask("scancel", "--partition=main")
    until(lambda: not cluster.jobs("RUNNING,COMPLETING"), "jobs did not end")
    unlocked = checkout.run("snakemake", *OPTIONS[:-2], "--unlock", **cluster.environment)
    assert unlocked.returncode == 0, unlocked.stderr
    second = checkout.run("snakemake", *OPTIONS, **cluster.environment)
    with log.open("a") as said:
        said.write(second.stderr)
    assert second.returncode == 0, log.read_text()[-8000:]
    return checkout


@pytest.fixture(scope="module")
def local(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Train and measure the same on this machine, from the same data and start weights."""
    checkout = configured(fresh_checkout(tmp_path_factory.mktemp("local") / "tcm-bench"))
    for name in ("data", "weights"):
        shutil.copytree(finished.folder / "results" / name, checkout.folder / "results" / name)
    done = checkout.run("snakemake", "--cores", "2", "--configfile", "one.yaml", "--", TABLE)
    assert done.returncode == 0, done.stderr[-5000:]
    return checkout


@pytest.mark.parametrize(("network", "variant"), CELLS)
def test_numbers_are_those_of_the_local_run(
    finished: Checkout, local: Checkout, network: str, variant: str
) -> None:
    for name in ("model.safetensors", "embeddings.npz", "utility.parquet", "classes.parquet"):
        here, there = (
            hashlib.sha256((place.folder / SEED0.format(network, variant) / name).read_bytes())
            for place in (local, finished)
        )
        assert here.hexdigest() == there.hexdigest(), name


def test_the_table_is_that_of_the_local_run(finished: Checkout, local: Checkout) -> None:
    here, there = ((place.folder / TABLE).read_text() for place in (local, finished))
    assert here == there
    assert here.count("\n") == 1 + len(SUITE["backbones"])


@pytest.mark.parametrize(("network", "variant"), CELLS)
def test_no_epoch_was_trained_twice(finished: Checkout, network: str, variant: str) -> None:
    said = (finished.folder / SEED0.format(network, variant) / "train.log").read_text()
    ended = Counter(re.findall(r"^epoch (\d+) of \d+: ", said, re.MULTILINE))
    assert ended == {str(epoch): 1 for epoch in range(1, EPOCHS[network] + 1)}


def test_pretraining_is_submitted_and_tables_are_not(finished: Checkout) -> None:
    said = (finished.folder / "snakemake.out").read_text()
    submitted = set(re.findall(r"has been submitted .*slurm_logs/rule_(\w+)/", said))
    work = {"weights", "miniature_cub", "prepare", "train_smooth_ap", "embed", "evaluate"}
    assert submitted == work


def test_a_cancelled_job_is_noticed_and_submitted_again(
    cluster: Cluster, finished: Checkout, tmp_path: Path
) -> None:
    checkout = finished.copy(tmp_path / "tcm-bench")
    run = SEED0.format("test_resnet", "base")
    shutil.rmtree(checkout.folder / run)
    log = tmp_path / "out"
    options = (*OPTIONS[:-1], f"{run}/model.safetensors")
    process = checkout.start("snakemake", *options, log=log, **cluster.environment)
    try:
        job, *_ = until(lambda: trainings(cluster, checkout), "no training")
        cluster.ask("scancel", job)
        until(lambda: trainings(cluster, checkout).keys() - {job}, "the end of a job not noticed")
    finally:
        process.kill()
        process.wait()
        cluster.ask("scancel", "--partition=main")
    assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in log.read_text()


def test_the_papers_suite_asks_for_what_its_jobs_need(cluster: Cluster, tmp_path: Path) -> None:
    """Submitted and held: a dry run would not show what the executor makes of the rules."""
    checkout = fresh_checkout(tmp_path / "tcm-bench")
    runs = [f"results/runs/cub/{name}/smooth_ap/base/seed0" for name in ("resnet50", "vit_b16")]
    data, weights = "results/data/full", "results/weights"
    there = [f"{data}/sop/archives/Stanford_Online_Products.zip.verified.json"]
    there += [f"{data}/cub/{name}" for name in ("train.csv", "test.csv", "manifest.json")]
    there += [f"{weights}/{name}.safetensors" for name in ("resnet50", "vit_b16")]
    for name in there:
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.folder / name).write_text("{}")
    options = (
        *("--workflow-profile", "workflow/profiles/slurm", "--config", "check_disk=False"),
        *("--default-resources", "slurm_extra='--hold'"),
        *("--set-resources", "train_smooth_ap:gpu_model=toy"),
        *("--allowed-rules", "prepare", "train_smooth_ap", "--"),
        *(f"{run}/model.safetensors" for run in runs),
        f"{data}/sop/train.csv",
    )
    log = tmp_path / "out"
    process = checkout.start("snakemake", *options, log=log, **cluster.environment)

    def held() -> dict[str, str]:
        assert process.poll() is None, log.read_text()[-5000:]
        found = cluster.jobs("PENDING")
        return found if len(found) == 3 else {}

    try:
        jobs = until(held, "not submitted", 600)
    finally:
        process.kill()
        process.wait()
    asked = {
        cluster.asked(job) for job, rule in jobs.items() if rule.startswith("rule_train_smooth_ap")
    }
    assert asked == {"1-00:00:00 cpu=16,mem=32000M,node=1,billing=16 gres:gpu:toy:1"}
    (prepare,) = (job for job, rule in jobs.items() if rule.startswith("rule_prepare"))
    assert cluster.asked(prepare) == "12:00:00 cpu=16,mem=4000M,node=1,billing=16"
    cluster.ask("scancel", *jobs)
