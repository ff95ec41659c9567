# The checked configuration, the runs of the chosen suite, and what all rules share. No rules.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod, RerunTrigger

ROOT = Path(str(workflow.current_basedir)).parents[1]
SRC = ROOT / "src"
# At the end of the path: a script named like a package of Snakemake's must not hide it.
sys.path.append(str(SRC))

from tcmbench import datasets
from tcmbench.common import machine
from tcmbench.common.driver import built_for, require_driver
from tcmbench.config.check import Run, check, runs, train_config, watch_options
from tcmbench.config.reading import read_config
from tcmbench.config.stale import stale_runs, told
from tcmbench.config.sweeps import parsed
from tcmbench.download.terms import terms
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.losses import available_losses
from tcmbench.preparation.job import cache_of
from tcmbench.preparation.space import archive_bytes, published_bytes, view_bytes
from tcmbench.preparation.store import folder_name
from tcmbench.common.sources import sources
from tcmbench.common.watch import RunWatcher

try:
    for file in workflow.configfiles:
        read_config(Path(file))
    config = check(config, datasets.names(), available_losses())
    RUNS = runs(config)
    TRAIN_CONFIGS = {run: train_config(config, run) for run in RUNS}
except UserError as error:
    raise WorkflowError(str(error)) from None

DATASETS = {name: datasets.load(name) for name in datasets.names()}
MINIATURES = [
    name for name in DATASETS if (SRC / f"tcmbench/miniatures/{name}.py").exists()
]
SUITE = config["suite"]
GRID = config["suites"][SUITE]
SCALE = GRID["scale"]
FULL = SCALE == "full"
ON_GPU = config["device"] == "cuda" or (config["device"] == "auto" and FULL)
DEVICE = "cuda" if ON_GPU else "cpu"
# Rule files of the user's own are relative to the working directory, `include` to this file.
CUSTOM_RULES = [str(Path(name).absolute()) for name in config["custom_rules"]]

IMAGE_CACHE = cache_of((config["image_cache"] or {}).get("short_side"))
# A swept point stands behind its loss: recall_at_k~batch_size=32.
POINT = "(?:~[^/]+)?"
RUN = "results/runs/{dataset}/{backbone}/{loss}/{variant}/seed{seed}"


wildcard_constraints:
    dataset="|".join(GRID["datasets"]),
    backbone="|".join(GRID["backbones"]),
    loss=f"(?:{'|'.join(config['losses'])}){POINT}",
    point=POINT,
    variant="base|tcm",
    seed="[0-9]+",
    suite="|".join(config["suites"]),
    scale="full|miniature",


# Snakemake ignores a resource without a limit: all trainings would start at once on one GPU.
# `--resources gpu=N` wins. A machine without GPU is refused later, when the jobs are known.
if workflow.local_exec and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, machine.gpu_count()))

GPUS = (
    workflow.global_resources["gpu"].value
    if "gpu" in workflow.global_resources
    else None
)
THREADS = machine.threads(FULL, ON_GPU, GPUS)


def environments_mb():
    """MB of the conda environments that are still to be made."""
    used = workflow.deployment_settings.deployment_method
    if DeploymentMethod.CONDA not in used:
        return 0
    return sum(
        machine.ENVIRONMENT_MB.get(Path(env.file.get_filename()).stem, 0)
        for env in workflow.dag.conda_envs.values()
        if not env.is_externally_managed and not Path(env.address).exists()
    )


def torch_build():
    """The version of torch that jobs will have, and of its CUDA, where both are known."""
    if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
        return built_for()
    return (
        (PINS["torch"], PINS["cuda-toolkit"])
        if {"torch", "cuda-toolkit"} <= PINS.keys()
        else None
    )


def refuse_what_cannot_run():
    """Stop in one sentence where this machine lacks a GPU or disk for the jobs that are planned."""
    jobs = list(workflow.dag.needrun_jobs())
    try:
        if workflow.local_exec:
            on_gpu = sum(job.resources.get("gpu", 0) > 0 for job in jobs)
            machine.require_gpu(SUITE, on_gpu)
            if on_gpu and (built := torch_build()):
                require_driver(*built)
        if config["check_disk"]:
            # Other jobs write little; a cluster's default for them would be added up as well.
            writers = ("download", "prepare", "evaluation_view")
            needed = sum(
                job.resources.disk_mb for job in jobs if job.rule.name in writers
            )
            environments = Path(workflow.persistence.conda_env_path)
            machine.require_disk(
                SUITE,
                {Path(config["data_root"]): needed, environments: environments_mb()},
            )
    except UserError as error:
        raise WorkflowError(str(error)) from None


def train_stale_again():
    """Train again what was trained with another configuration; Snakemake may have no record of it."""
    ours = {
        run: settings
        for run, settings in TRAIN_CONFIGS.items()
        if config["losses"][parsed(run.loss)[0]]["rule"] != "custom"
    }
    stale = stale_runs(ours)
    counts = RerunTrigger.PARAMS in workflow.dag_settings.rerun_triggers
    if counts:
        workflow.dag.forcefiles.update(stale)
    if stale:
        end = "trained again" if counts else "used all the same, by --rerun-triggers"
        print(told(stale, end), file=sys.stderr)


def plan_and_refuse(plan=workflow._build_dag):
    """Plan, then refuse: Snakemake makes conda environments, for minutes, before its `onstart`.

    Of its triggers, the environment as a whole is left out: versions.smk has what counts.
    """
    workflow.dag_settings.rerun_triggers = frozenset(workflow.rerun_triggers) - {
        RerunTrigger.SOFTWARE_ENV
    }
    if workflow.executor_plugin and workflow.is_main_process and not workflow.touch:
        # Whole files alone have final names, so what a killed job left is no reason to stop.
        workflow.dag_settings.force_incomplete = True
        train_stale_again()
    plan()
    started = workflow.executor_plugin is not None and workflow.is_main_process
    if started and not workflow.dryrun and not workflow.touch:
        refuse_what_cannot_run()


workflow._build_dag = plan_and_refuse


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    if FULL:
        for name in sorted(
            {job.wildcards.dataset for job in jobs if job.rule.name == "download"}
        ):
            print(terms(DATASETS[name]), end="", file=sys.stderr)
    RunWatcher.attach({job.jobid: job.rule.name for job in jobs})


def local(path):
    """A path from the working directory where it lies below: results move with the checkout."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else str(path)


def script(name):
    """A command of src/, as an input that is compared by content."""
    return local(SRC / name)


def code(name, skip=()):
    """The sources that a file of src/ depends on, as inputs."""
    return [local(path) for path in sources(SRC / name, skip)]
