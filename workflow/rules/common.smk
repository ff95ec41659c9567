# The checked configuration, the runs of the chosen suite, and what all rules share. No rules.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import flag
from snakemake.settings.types import DeploymentMethod

# A checkout reached by a symbolic link is the same one.
ROOT = Path(str(workflow.current_basedir)).resolve().parents[1]
SRC = ROOT / "src"
# This checkout's own package, also where another one is installed; but not its scripts, which may be
# named like a package of Snakemake's.
sys.path.insert(0, str(SRC))
import tcmbench

sys.path.remove(str(SRC))

from tcmbench.common.interpreter import provide_python, use_utf8

use_utf8()

from tcmbench import datasets
from tcmbench.common import machine
from tcmbench.config import folds, tuned
from tcmbench.config.check import Run, check, runs, train_config, watch_options
from tcmbench.config.evaluations import MAIN, evaluations
from tcmbench.config.finished import finished, fingerprint, is_measured
from tcmbench.config.pairs import base_of, compared, comparisons
from tcmbench.config.reading import read_config
from tcmbench.config.selection import is_narrowed, narrowed
from tcmbench.config.titles import titles
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.losses import available_losses
from tcmbench.photos.plan import planned
from tcmbench.preparation.job import cache_of
from tcmbench.preparation.space import archive_bytes, published_bytes, view_bytes
from tcmbench.preparation.store import folder_name
from tcmbench.common.sources import sources

# Where this workflow is a module of another. Snakemake puts it in front of inputs and outputs alone.
PREFIX = workflow.modifier.path_modifier.prefix or ""


def placed(path):
    """A path of this workflow as jobs find it, for their parameters."""
    return path if os.path.isabs(path) else f"{PREFIX}{path}"


WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method

try:
    PYTHON = None if WITH_CONDA else provide_python("torch")
    for file in workflow.configfiles:
        read_config(Path(file))
    whole = check(config, datasets.names(), available_losses())
    whole["data_root"] = placed(whole["data_root"])
    config = narrowed(whole, datasets.names())
    RUNS = runs(config)
    SUITE = config["suite"]
    GRID = config["suites"][SUITE]
    SCALE = GRID["scale"]
    # Images of one's own are hashed here, where new or changed: nothing else says what is to do.
    PHOTOS = {
        name: planned(
            config["datasets"][name], Path(placed(f"results/data/own/{name}"))
        )
        for name in whole["suites"][SUITE]["datasets"]
        if SCALE == "own"
    }
    for name, plan in PHOTOS.items():
        config["datasets"][name]["sizes"] = plan.listing.sizes
    # What a selection leaves out is shown where it is done, and never made.
    BESIDE = finished(whole, runs(whole), set(RUNS)) if is_narrowed(config) else []
    TRAIN_CONFIGS = {run: train_config(config, run) for run in RUNS}
    for values in TRAIN_CONFIGS.values():
        made = {name: values[name] for name in ("manifest", "weights") if values[name]}
        values.update({name: placed(path) for name, path in made.items()})
except UserError as error:
    raise WorkflowError(str(error)) from None

DATASETS = {name: datasets.load(name) for name in datasets.names()}
MINIATURES = [
    name for name in DATASETS if (SRC / f"tcmbench/miniatures/{name}.py").exists()
]
EVALUATIONS = evaluations(config)
FURTHER = [name for name in EVALUATIONS if name != MAIN]
FULL = SCALE == "full"
VALIDATED = "validation" in GRID
# Work for a GPU, or for all cores of a processor.
LARGE = SCALE != "miniature"
ON_GPU = config["device"] == "cuda" or (config["device"] == "auto" and LARGE)
DEVICE = "cuda" if ON_GPU else "cpu"
# Rule files of the user's own are relative to the working directory, `include` to this file.
CUSTOM_RULES = [str(Path(name).absolute()) for name in config["custom_rules"]]

IMAGE_CACHE = cache_of((config["image_cache"] or {}).get("short_side"))
# A swept point stands behind its loss: recall_at_k~batch_size=32.
POINT = "(?:~[^/]+)?"
RUN = "results/runs/{dataset}/{backbone}/{loss}/{variant}/seed{seed}"


wildcard_constraints:
    dataset=f"(?:{'|'.join(GRID['datasets'])}){folds.PATTERN}",
    backbone="|".join(GRID["backbones"]),
    loss=f"(?:{'|'.join(config['losses'])}){POINT}",
    point=POINT,
    variant="base|tcm",
    seed="[0-9]+",
    suite="|".join(config["suites"]),
    evaluation="[a-z][a-z0-9_]*",
    scale="full|miniature",


def on_cluster():
    """Whether jobs run on other machines than this one; a dry run knows by `--jobs` alone."""
    if workflow.executor_plugin is None or workflow.dryrun:
        return workflow.resource_settings.nodes is not None
    return workflow.remote_exec or not workflow.local_exec


def limit_gpus():
    """Let as many GPU jobs run side by side as there are GPUs here; `--resources gpu=N` wins.

    Snakemake ignores a resource without a limit: all trainings would start at once on one GPU. A
    cluster counts its own. A machine without GPU is refused later, when the jobs are known.
    """
    if not on_cluster() and "gpu" not in workflow.global_resources:
        workflow.register_resource("gpu", max(1, machine.gpu_count()))


def threads(on_gpu):
    """Threads of a job. While rules are read it is not known where jobs will run: a function."""

    def of_job(wildcards):
        limit = workflow.global_resources.get("gpu")
        return machine.threads(LARGE, on_gpu, None if limit is None else limit.value)

    return of_job


THREADS = threads(ON_GPU)


def retries(number):
    """How often a rule is tried again; a job on another machine leaves it to who sent it."""
    return number if workflow.is_main_process else 0


def given(path):
    """A file that is there: where this workflow is a module, its prefix goes before results alone."""
    return flag(path, "local")


def local(path):
    """A path from the working directory where it lies below: results move with the checkout."""
    path = Path(path).resolve()
    return given(
        os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    )


def script(name):
    """A command of src/, as an input that is compared by content."""
    return local(SRC / name)


def code(name, skip=()):
    """The sources that a file of src/ depends on, as inputs."""
    try:
        return [local(path) for path in sources(SRC / name, skip)]
    except UserError as error:
        raise WorkflowError(str(error)) from None
