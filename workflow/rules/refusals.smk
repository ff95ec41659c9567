# What stops before a job starts, and what is said while jobs run. No rules.
from snakemake.logging import logger
from snakemake.settings.types import RerunTrigger

from tcmbench.common.driver import built_for, require_driver
from tcmbench.common.interpreter import require_success
from tcmbench.common.verdicts import Verdicts
from tcmbench.config.stale import stale_runs, told
from tcmbench.config.sweeps import parsed
from tcmbench.download.terms import terms


def environments_mb():
    """MB of the conda environments that are still to be made."""
    if not WITH_CONDA:
        return 0
    return sum(
        machine.ENVIRONMENT_MB.get(Path(env.file.get_filename()).stem, 0)
        for env in workflow.dag.conda_envs.values()
        if not env.is_externally_managed and not Path(env.address).exists()
    )


def torch_build():
    """The version of torch that jobs will have, and of its CUDA, where both are known."""
    if not WITH_CONDA:
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


def python_of(job):
    """The Python that a job will be run with; None where its environment is still to be made."""
    if PYTHON:
        return PYTHON
    found = Path(job.conda_env.address, "bin/python")
    return found if found.exists() else None


def refuse_what_cannot_be_built():
    """Stop in one sentence where a planned training has a network or loss that cannot be built.

    Built by the Python of the trainings, in a process of its own: torch takes seconds to import.
    """
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name in TRAIN_RULES]
    if jobs and (python := python_of(jobs[0])):
        configs = ",".join(job.params.config for job in jobs)
        try:
            require_success(python, SRC / "check_runs.py", f"[{configs}]")
        except UserError as error:
            raise WorkflowError(str(error)) from None


def train_stale_again():
    """Train again what was trained with another configuration; Snakemake may have no record of it."""
    ours = {
        placed(f"{run.folder}/run.json"): settings
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
    limit_gpus()
    if workflow.executor_plugin and workflow.is_main_process and not workflow.touch:
        # Whole files alone have final names, so what a killed job left is no reason to stop.
        workflow.dag_settings.force_incomplete = True
        train_stale_again()
    plan()
    started = workflow.executor_plugin is not None and workflow.is_main_process
    if started and not workflow.touch:
        refuse_what_cannot_be_built()
        if not workflow.dryrun:
            refuse_what_cannot_run()


workflow._build_dag = plan_and_refuse


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    # Conda's environments were perhaps made only now; no output was touched yet.
    if WITH_CONDA:
        refuse_what_cannot_be_built()
    if FULL:
        for name in sorted(
            {job.wildcards.dataset for job in jobs if job.rule.name == "download"}
        ):
            print(terms(DATASETS[name]), end="", file=sys.stderr)
    watch_jobs()
    logger.addHandler(Verdicts({job.jobid: job for job in jobs}))
