# What is said and written down of jobs while they run. No rules.
import snakemake.benchmark
from snakemake.logging import logger

from tcmbench.common.watch import Job, RunWatcher
from tcmbench.plan import effort

# How often `benchmark:` looks at the memory of a job, at first. The kernel counts it page by page:
# twice a second, of two jobs with torch, took a tenth of a core.
snakemake.benchmark.BENCHMARK_INTERVAL_SHORT = 2  # seconds


def watch_jobs():
    """Say which trainings start, what jobs end, and the time left."""
    if RUNS and not COMPARED:
        print(
            "No base run has its +TCM run yet: runs are measured, and nothing is compared.",
            file=sys.stderr,
        )
    jobs = workflow.dag.needrun_jobs()
    logger.addHandler(RunWatcher({job.jobid: watched(job) for job in jobs}))


def watched(job):
    """What the lines of progress say of a job, and about how long it takes."""
    known = job.wildcards
    names = [
        name for name in ("dataset", "backbone", "loss", "variant") if known.get(name)
    ]
    about = [known[name] for name in names]
    if job.rule.name.startswith("train_"):
        about.insert(2, job.rule.name.removeprefix("train_") + known.get("point", ""))
    if known.get("seed"):
        about.append(f"seed {known['seed']}")
    if known.get("evaluation"):
        about.append(known["evaluation"])
    seconds = expected_seconds(job) if FULL else None
    load = effort.load(
        job.rule.name,
        known.get("backbone", ""),
        seconds,
        job.resources.get("disk_mb", 0) if FULL else 0,
    )
    return Job(job.rule.name, load, tuple(about), job.output.get("metrics"))


def expected_seconds(job):
    """Seconds of a training or an embedding at full scale, where its run is the suite's."""
    if not job.output:
        return None
    folder = Path(job.output[0]).parent.as_posix()
    run = next((run for run in RUNS if run.folder == folder), None)
    if run is None:
        return None
    counts = DATASETS[folds.plain(run.dataset)].counts
    if job.rule.name.startswith("train_"):
        return effort.training_seconds(TRAIN_CONFIGS[run], counts.train_images)
    if job.rule.name == "embed":
        return effort.embedding_seconds(TRAIN_CONFIGS[run], counts.test_images)
    return None
