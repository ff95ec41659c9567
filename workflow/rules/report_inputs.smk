# What the jobs of tables, figures and pages are given, as functions of their wildcards. No rules.


def run_files(runs, name=""):
    """One file of each run, or the runs' folders."""
    return [f"{run.folder}/{name}".rstrip("/") for run in runs]


def of_dataset(name=""):
    """The same for the suite's runs on the dataset of a job."""
    return lambda wildcards: run_files(
        [run for run in RUNS if run.dataset == wildcards.dataset], name
    )


def tuned_option():
    """Where the margins of the suite's runs were chosen, if they were."""
    if config["regularizer"] != tuned.WORD or VALIDATED:
        return ""
    return f"--tuned {tuned.table_of(config, SCALE)}"


TUNED = tuned_option()


def pair_of(first):
    """The base and the tcm run of the same cell and seed."""
    same = ("dataset", "backbone", "loss", "seed")
    return [
        run
        for run in RUNS
        if all(getattr(run, key) == getattr(first, key) for key in same)
    ]


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


def figure_names():
    """Figures of the suite: those of every comparison, or the one that a sweep is made for.

    Neighbours are drawn of each dataset's first backbone and loss.
    """
    if VALIDATED:
        return ["margins"]
    for sweep in ("pareto", "ablation"):
        if SUITE.startswith(sweep):
            return [sweep]
    names = ["summary", "plane"] + (["toy"] if SUITE.startswith("toy") else [])
    for name in GRID["datasets"]:
        first = next(run for run in RUNS if run.dataset == name)
        names += [f"utility_{name}{variant}" for variant in ("", "_base", "_tcm")]
        names += [f"deployer_{name}", f"training_{name}"]
        names.append(f"neighbours_{name}_{first.backbone}_{first.loss}")
    return names


def pareto_option(wildcards):
    """The Pareto suite judges the claims about its own settings."""
    runs = f"results/tables/{wildcards.suite}/runs.csv"
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
    return file


def entry_options(wildcards):
    """Folder and title of each entry, as words of a command.

    A function, since braces in a plain parameter would be taken for wildcards.
    """
    return " ".join(
        f"--entry results/entries/{name} {shlex.quote(entry.get('title', name))}"
        for name, entry in GRID["entries"].items()
    )
