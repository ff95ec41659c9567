# The checked configuration, the runs of the chosen suite, and what all rules share. No rules.
import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(str(workflow.current_basedir)).parents[1]
SRC = ROOT / "src"
# At the end of the path: a script named like a package of Snakemake's must not hide it.
sys.path.append(str(SRC))

from tcmbench import datasets, machine
from tcmbench.config import Run, check, runs, train_config
from tcmbench.errors import UserError
from tcmbench.losses import available_losses
from tcmbench.sources import sources
from tcmbench.watch import RunWatcher

try:
    config = check(config, datasets.names(), available_losses())
    RUNS = runs(config)
    TRAIN_CONFIGS = {run: train_config(config, run) for run in RUNS}
except UserError as error:
    raise WorkflowError(str(error)) from None

DATASETS = {name: datasets.load(name) for name in datasets.names()}
SUITE = config["suite"]
GRID = config["suites"][SUITE]
SCALE = GRID["scale"]
FULL = SCALE == "full"
ON_GPU = config["device"] == "cuda" or (config["device"] == "auto" and FULL)
DEVICE = "cuda" if ON_GPU else "cpu"
# Rule files of the user's own are relative to the working directory, `include` to this file.
CUSTOM_RULES = [str(Path(name).absolute()) for name in config["custom_rules"]]

RUN = "results/runs/{dataset}/{backbone}/{loss}/{variant}/seed{seed}"


wildcard_constraints:
    dataset="|".join(GRID["datasets"]),
    backbone="|".join(GRID["backbones"]),
    loss="|".join(config["losses"]),
    variant="base|tcm",
    seed="[0-9]+",
    suite="|".join(config["suites"]),
    scale="full|miniature",


# Snakemake ignores a resource without a limit: all trainings would start at once on one GPU.
# `--resources gpu=N` wins. A machine without GPU is refused later, when jobs are about to start.
if workflow.local_exec and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, machine.gpu_count()))

GPUS = (
    workflow.global_resources["gpu"].value
    if "gpu" in workflow.global_resources
    else None
)
THREADS = machine.threads(FULL, ON_GPU, GPUS)


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    try:
        if workflow.local_exec:
            machine.require_gpu(
                SUITE, sum(job.resources.get("gpu", 0) > 0 for job in jobs)
            )
        if config["check_disk"]:
            needed = sum(job.resources.get("disk_mb", 0) for job in jobs)
            machine.require_disk(SUITE, needed, Path("results"))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    RunWatcher.attach({job.jobid: job.rule.name for job in jobs})


def script(name):
    """A command of src/, as an input that is compared by content."""
    return str(SRC / name)


# Data


def archive_names(dataset):
    """File names of a dataset's archives."""
    return [archive.name for archive in DATASETS[dataset].archives]


def archives(wildcards):
    """The verified archives of a dataset."""
    return collect(
        "results/data/{scale}/{dataset}/archives/{file}",
        file=archive_names(wildcards.dataset),
        allow_missing=True,
    )


def published(wildcards):
    """What stands in for the network: a miniature's archive, its hashes and its counts."""
    if wildcards.scale == "full":
        return {}
    folder = f"results/data/miniature/{wildcards.dataset}/published"
    return {
        "archive": f"{folder}/{wildcards.file}",
        "expect": f"{folder}/expected.json",
    }


def expected(wildcards):
    """A miniature's own counts; at full scale the published ones hold."""
    if wildcards.scale == "full":
        return []
    return f"results/data/miniature/{wildcards.dataset}/published/expected.json"


def download_options(wildcards, input):
    """Where to fetch from, where it is not the published address."""
    if wildcards.scale == "full":
        return ""
    return f'--url "file://$PWD/{input.archive}" --expect {input.expect}'


def prepare_options(wildcards, input):
    """Which counts have to hold, where it is not the published ones."""
    return f"--expect {input.expect}" if input.expect else ""


def download_mb(wildcards):
    """Size of an archive in MB, or that of its images where it is not published; see below."""
    dataset = DATASETS[wildcards.dataset]
    archive = dataset.archive(wildcards.file)
    images = dataset.unpacked_bytes if archive == dataset.archives[0] else 0
    return int((archive.size or images) / 1e6) if wildcards.scale == "full" else 0


def unpacked_mb(wildcards):
    """Size of a dataset's images in MB; a miniature counts as nothing."""
    size = DATASETS[wildcards.dataset].unpacked_bytes
    return int(size / 1e6) if wildcards.scale == "full" else 0


def prepare_sources(wildcards):
    """What reads a dataset: the command's modules and the dataset's own file."""
    own = SRC / "tcmbench/datasets" / f"{wildcards.dataset}.py"
    return sources(SRC / "prepare.py") + sources(own)


# Weights and training


def weight_sources(wildcards):
    """Pretraining depends on code of ours; fetched weights do not."""
    fetched = config["backbones"][wildcards.backbone]["weights"] == "hub"
    return [] if fetched else sources(SRC / "weights.py")


def weight_arguments(wildcards):
    """Arguments of the backbone as JSON."""
    return json.dumps(config["backbones"][wildcards.backbone]["model_args"])


def start_weights(wildcards):
    """The backbone's start weights, unless it starts from random ones."""
    if config["backbones"][wildcards.backbone]["weights"] == "none":
        return []
    return f"results/weights/{wildcards.backbone}.safetensors"


def loss_sources(loss):
    """The loss's file and what it imports."""
    return sources(
        config["losses"][loss].get("file") or SRC / f"tcmbench/losses/{loss}.py"
    )


def regularizer_sources(wildcards):
    """The margin's file, for the runs that use it."""
    return (
        []
        if wildcards.variant == "base"
        else sources(SRC / "tcmbench/regularizers/tcm.py")
    )


def train_json(loss):
    """The configuration of a run of this loss as JSON: a changed key re-runs what it changes."""

    def of_run(wildcards):
        seed = int(wildcards.seed)
        run = Run(wildcards.dataset, wildcards.backbone, loss, wildcards.variant, seed)
        return json.dumps(TRAIN_CONFIGS[run])

    return of_run


# Report


def run_files(runs, name=""):
    """One file of each run, or the runs' folders."""
    return [f"{run.folder}/{name}".rstrip("/") for run in runs]


def of_dataset(name=""):
    """The same for the suite's runs on the dataset of a job."""
    return lambda wildcards: run_files(
        [run for run in RUNS if run.dataset == wildcards.dataset], name
    )
