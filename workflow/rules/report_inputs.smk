# What the jobs of tables, figures and pages are given, as functions of their wildcards. No rules.


def run_files(runs, name=""):
    """One file of each run, for inputs; or the runs' folders, for parameters."""
    return [f"{run.folder}/{name}" if name else placed(run.folder) for run in runs]


def shown(wildcards):
    """Folders of all runs that a job shows: those that the workflow makes, and finished ones."""
    return run_files(of_job(RUNS, wildcards) + beside(wildcards))


def beside(wildcards):
    """Finished runs that were not selected, of a job's dataset and evaluation."""
    evaluation = wildcards.get("evaluation", MAIN)
    return [
        run for run in of_job(BESIDE, wildcards) if is_measured(config, run, evaluation)
    ]


def beside_hashes(wildcards):
    """What they hold: as inputs they would be planned anew where anything of theirs changed."""
    evaluation = wildcards.get("evaluation", MAIN)
    return [fingerprint(run, evaluation) for run in beside(wildcards)]


def of_job(runs, wildcards):
    """The runs on the dataset of a job, if it is of one."""
    return [run for run in runs if wildcards.get("dataset", run.dataset) == run.dataset]


def of_dataset(name):
    """One file of each run that the workflow makes on the dataset of a job."""
    return lambda wildcards: run_files(of_job(RUNS, wildcards), name)


def further_files(name):
    """One file of each run, in the folder of a job's evaluation."""
    return lambda wildcards: run_files(RUNS, f"{wildcards.evaluation}/{name}")


def whole_suite(wildcards):
    """What the whole suite consists of, as words of a command."""
    grid = whole["suites"][SUITE]
    # Folds are paired as seeds are.
    seeds = len(grid["seeds"]) * (grid["validation"]["folds"] if VALIDATED else 1)
    return f"--of {comparisons(runs(whole))} {seeds}"


def title_option(wildcards):
    """The configuration's own titles, as words of a command.

    A function, since braces in a plain parameter would be taken for wildcards.
    """
    given = titles(config)
    return f"--titles {shlex.quote(as_json(given))}" if given else ""


def table_options(wildcards):
    """Options of the command that makes a table."""
    evaluation = wildcards.get("evaluation", MAIN)
    words = [f"--evaluation {evaluation}"] if evaluation else []
    return " ".join([whole_suite(wildcards), title_option(wildcards), TUNED, *words])


def tuned_option():
    """Where the margins of the suite's runs were chosen, if they were."""
    if config["regularizer"] != tuned.WORD or VALIDATED:
        return ""
    return f"--tuned {tuned.table_of(config, SCALE)}"


TUNED = tuned_option()


def pair_of(first):
    """The base and the tcm run of the same cell and seed."""
    return [run for run in RUNS if base_of(run) == base_of(first)]


def first_of(wildcards):
    """The first run of a cell."""
    cell = (wildcards.dataset, wildcards.backbone, wildcards.loss)
    return next(run for run in RUNS if (run.dataset, run.backbone, run.loss) == cell)


def pair_folders(wildcards):
    """Folders of a cell's first base and tcm run."""
    return run_files(pair_of(first_of(wildcards)))


def pair_files(wildcards):
    """What a figure of their images needs."""
    return embedded_files(pair_of(first_of(wildcards)))


def embedded_files(runs):
    """Measures, record, curves and embeddings of runs."""
    names = ("metrics.json", "run.json", "utility.parquet", "embeddings.npz")
    return [file for name in names for file in run_files(runs, name)]


# Of a pair, one may have been finished before. Where no pair can be shown, runs are measured all
# the same, and there is nothing to tabulate or draw.
COMPARED = compared(RUNS + BESIDE)
MEASURED = [
    file
    for name in EVALUATIONS
    for file in run_files(RUNS, f"{name}/metrics.json".lstrip("/"))
]


def figure_names():
    """Figures of the suite: those of every comparison, or the one that a sweep is made for.

    Neighbours are drawn of each dataset's first backbone and loss.
    """
    if VALIDATED:
        return ["margins"]
    for sweep in ("pareto", "ablation"):
        if SUITE.startswith(sweep):
            return [sweep]
    toy = SUITE.startswith("toy") and compared(RUNS)
    names = ["summary", "plane"] + (["toy"] if toy else [])
    for name in GRID["datasets"]:
        if any(run.dataset == name for run in COMPARED):
            names += [f"utility_{name}{variant}" for variant in ("", "_base", "_tcm")]
            names += [f"deployer_{name}", f"training_{name}"]
        if first := next((run for run in compared(RUNS) if run.dataset == name), None):
            names.append(f"neighbours_{name}_{first.backbone}_{first.loss}")
    return names


def pareto_option(wildcards):
    """The Pareto suite judges the claims about its own settings."""
    runs = placed(f"results/tables/{wildcards.suite}/runs.csv")
    return f"--pareto {runs}" if wildcards.suite.startswith("pareto") else ""


# Entries


def entry_embeddings(wildcards):
    """The file of an entry of the suite."""
    try:
        file = GRID["entries"][wildcards.entry]["embeddings"]
    except KeyError:
        raise WorkflowError(
            f"suite '{SUITE}' has no entry '{wildcards.entry}'; add it to config.yaml"
        ) from None
    # Snakemake would show what was once measured of it as if it were still there.
    if not Path(file).is_file():
        raise WorkflowError(
            f"entry '{wildcards.entry}': {file} does not exist; put it back, correct its path, or "
            "take the entry out of config.yaml"
        )
    return given(file)


def entry_options(wildcards):
    """Folder and title of each entry, as words of a command.

    A function, since braces in a plain parameter would be taken for wildcards.
    """
    return " ".join(
        f"--entry {placed(f'results/entries/{name}')} {shlex.quote(entry.get('title', name))}"
        for name, entry in GRID["entries"].items()
    )
