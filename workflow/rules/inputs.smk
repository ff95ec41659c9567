# What jobs are given: inputs, options, configurations, as functions of their wildcards. No rules.

# Data


def archives(dataset):
    """A dataset's archives in the layout that is asked for, that of the images first."""
    return DATASETS[dataset].layout(config["layouts"].get(dataset)).archives


def archive_names(dataset):
    """Their file names."""
    return [archive.name for archive in archives(dataset)]


def data_folder(wildcards):
    """Where a dataset's images lie, perhaps outside and shared."""
    dataset = folds.plain(wildcards.dataset)
    if dataset in PHOTOS:
        return str(PHOTOS[dataset].listing.images)
    return f"{config['data_root']}/{SCALE}/{dataset}"


def archive_folder(wildcards):
    """Where its archives lie."""
    return f"{data_folder(wildcards)}/archives"


def receipts(wildcards):
    """What says that a dataset's archives are there and are the right ones."""
    return collect(
        "results/data/{scale}/{dataset}/archives/{file}.verified.json",
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
        return f"--trusted {shlex.quote(config['trusted_hashes'])}"
    return f'--replace --url "file://$PWD/{input.archive}" --expect {input.expect}'


def prepare_checks(wildcards, input):
    """Which counts have to hold, where it is not the published ones, and whether disk is checked.

    Snakemake takes parameters that are derived from inputs for no reason to run a job again: that
    is wanted here, and not in `prepare_options`.
    """
    checks = [f"--expect {input.expect}"] if input.expect else []
    return " ".join(checks if config["check_disk"] else [*checks, "--no-disk-check"])


def skip_list(wildcards):
    """The file with images of a dataset that may be left out."""
    file = config["skip_unreadable"].get(wildcards.dataset)
    return given(file) if file else []


def prepare_options(wildcards):
    """Which layout is read, what may be left out and what size is kept."""
    options = []
    if wildcards.dataset in config["layouts"]:
        options.append(f"--layout {config['layouts'][wildcards.dataset]}")
    if skip := skip_list(wildcards):
        options.append(f"--skip-unreadable {shlex.quote(skip)}")
    if IMAGE_CACHE:
        options.append(f"--short-side {IMAGE_CACHE.short_side}")
    return " ".join(options)


def download_mb(wildcards):
    """Size of an archive in MB, or that of its images where it is not published.

    Nothing for a miniature, and for an archive that is there already.
    """
    dataset = DATASETS[wildcards.dataset]
    archive = dataset.archive(wildcards.file)
    there = in_folder(Path(archive_folder(wildcards)), wildcards.file).exists()
    return int(archive_bytes(dataset, archive) / 1e6) if FULL and not there else 0


def unpacked_mb(wildcards):
    """Size of a dataset's images in MB; nothing for a miniature, and where they are there."""
    dataset = DATASETS[wildcards.dataset]
    record = f"{folder_name(IMAGE_CACHE)}.json"
    there = Path(data_folder(wildcards), record).exists()
    size = published_bytes(dataset, IMAGE_CACHE)
    return int(size / 1e6) if FULL and not there else 0


def prepare_sources(wildcards):
    """What reads a dataset: the command's modules and the dataset's own file."""
    return code("prepare.py") + code(f"tcmbench/datasets/{wildcards.dataset}.py")


def photos_options(wildcards):
    """Where images of one's own lie, and which classes are trained on."""
    entry = config["datasets"][wildcards.dataset]
    keys = ("folder", "table", "images", "train_share", "split_seed")
    options = {key: entry[key] for key in keys if key in entry}
    if skip := skip_list(wildcards):
        options["skip_unreadable"] = skip
    return " ".join(
        f"--{key.replace('_', '-')} {shlex.quote(str(value))}"
        for key, value in options.items()
    )


def photos_hashes(wildcards):
    """What the pictures of a half are: others are to be checked."""
    plan = PHOTOS[wildcards.dataset]
    return plan.train if wildcards.half == "train" else plan.test


# Weights and training


def weight_sources(wildcards):
    """Pretraining depends on code of ours; fetched weights do not."""
    fetched = config["backbones"][wildcards.backbone]["weights"] == "hub"
    return [] if fetched else code("weights.py")


def as_json(values):
    """Values as JSON in one order: keys moved about in config.yaml re-run nothing."""
    return json.dumps(values, sort_keys=True)


def weight_arguments(wildcards):
    """Arguments of the backbone as JSON."""
    return as_json(config["backbones"][wildcards.backbone]["model_args"])


def weight_file(wildcards):
    """The file that was fetched by hand instead of by the rule."""
    file = config["backbones"][wildcards.backbone].get("file")
    return given(file) if file else []


def weight_pins(wildcards):
    """Options that say which published file is wanted, as far as the configuration does."""
    entry = config["backbones"][wildcards.backbone]
    named = [key for key in ("revision", "sha256", "file") if key in entry]
    return " ".join(f"--{key} {shlex.quote(entry[key])}" for key in named)


def start_weights(wildcards):
    """The backbone's start weights, unless it starts from random ones."""
    if config["backbones"][wildcards.backbone]["weights"] == "none":
        return []
    return f"results/weights/{wildcards.backbone}.safetensors"


def loss_sources(loss):
    """The loss's file and what it imports; a package's class has its version in `loss_packages`."""
    if "class" in config["losses"][loss]:
        return []
    own = config["losses"][loss].get("file")
    return code(Path(own).absolute() if own else f"tcmbench/losses/{loss}.py")


def regularizer_sources(wildcards):
    """The margin's file, for the runs that use it."""
    return [] if wildcards.variant == "base" else code("tcmbench/regularizers/tcm.py")


def train_values(loss, wildcards):
    """The configuration of a run of this loss."""
    cell = (
        wildcards.dataset,
        wildcards.backbone,
        f"{loss}{wildcards.get('point', '')}",
    )
    return TRAIN_CONFIGS[Run(*cell, wildcards.variant, int(wildcards.seed))]


def train_json(loss):
    """The same as JSON: a changed key re-runs what it changes."""
    return lambda wildcards: as_json(train_values(loss, wildcards))


def for_each_process(loss, amount):
    """What one process of a training takes, a number or a function, times its processes."""

    def of_run(wildcards):
        processes = train_values(loss, wildcards)["compute"].get("processes", 1)
        return processes * (amount(wildcards) if callable(amount) else amount)

    return of_run


# Embedding and evaluation


def scored_manifest(wildcards):
    """The images that are embedded: the test split, or a fold of the training split."""
    split = "validation" if folds.parsed(wildcards.dataset)[1] else "test"
    return f"results/data/{SCALE}/{wildcards.dataset}/{split}.csv"


def view_mb(wildcards):
    """Size of a stored evaluation view in MB; a miniature counts as nothing."""
    size = view_bytes(DATASETS[folds.plain(wildcards.dataset)], int(wildcards.crop))
    return int(size / 1e6) if wildcards.scale == "full" else 0


def stored_view(wildcards):
    """The decoded test images; those of a miniature are decoded sooner than a job starts."""
    if not FULL:
        return []
    run = Run(**(dict(wildcards) | {"seed": int(wildcards.seed)}))
    sizes = TRAIN_CONFIGS[run]["view"]
    folder = f"results/data/{SCALE}/{wildcards.dataset}/views"
    return f"{folder}/{sizes['resize']}_{sizes['crop']}.npy"


def of_evaluation(key):
    """A setting of the evaluation of a job."""
    return lambda wildcards: EVALUATIONS[wildcards.evaluation][key]


def view_option(wildcards, input):
    """Where the decoded test images are, if they are stored."""
    return f"--view {input.view}" if input.view else ""
