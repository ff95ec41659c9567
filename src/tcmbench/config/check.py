"""config.yaml: checked against its schema, completed with defaults, unrolled into runs."""

import itertools
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from tcmbench.common.errors import UserError
from tcmbench.config import folds
from tcmbench.config.evaluations import check_evaluations
from tcmbench.config.fitting import fitted
from tcmbench.config.own import images_folder
from tcmbench.config.references import check_names, listed
from tcmbench.config.schema import Config, settings, validated
from tcmbench.config.selection import check_unique, losses_of, narrowed
from tcmbench.config.sweeps import (
    REGULARIZER,
    Point,
    named,
    of_recipe,
    of_regularizer,
    parsed,
    points,
)
from tcmbench.config.tuned import WORD, choice, choices, usual

# How a recipe's settings are grouped in a training's configuration.
MODEL_KEYS = ("pooling", "layer_norm", "embedding_size", "freeze_batch_norm")
VIEW_KEYS = ("resize", "crop", "crop_scale", "flip")
# Of `training`, what a run's numbers depend on.
COMPUTE_KEYS = ("precision", "compile")
# Of a recipe, and may be missing: one process.
PROCESSES = "gpus_per_run"


@dataclass(frozen=True)
class Run:
    """One training and all that follows from it.

    `loss` is a name of the configuration, with `~setting=value,...` behind it at a swept point;
    `dataset` has `~fold=1of4` behind it where classes of the training split are scored.
    """

    dataset: str
    backbone: str
    loss: str
    variant: str
    seed: int

    @property
    def folder(self) -> str:
        """Folder of the run's files, relative to the working directory."""
        return (
            f"results/runs/{self.dataset}/{self.backbone}/{self.loss}"
            f"/{self.variant}/seed{self.seed}"
        )


def check(raw: Config, datasets: Collection[str], losses: Collection[str]) -> Config:
    """Return `raw` with defaults filled in.

    Args:
        raw: content of config.yaml.
        datasets: names of the datasets that have a file.
        losses: names of the losses that have a file in the library.

    Raises:
        UserError: an unknown key, a wrong type, or a name that nothing answers to.
    """
    config = validated(raw)
    check_names(config, datasets, losses)
    check_unique(config, datasets)
    _check_scales(config)
    check_evaluations(config)
    narrowed(config, datasets)
    return config


def runs(config: Config, suite: str | None = None) -> list[Run]:
    """List the runs of a whole suite (default: the chosen one), paired variants side by side.

    A value that a run has anyway is no part of its point, so that it is trained once for all
    suites; the same holds for the regularizer's settings and the variant `base`. Tuned margins are
    a point of their run; the suites that choose them do not have them.

    Raises:
        UserError: margins are to be tuned ones, and none have been chosen.
    """
    name = suite or config["suite"]
    grid = config["suites"][name]
    cells = itertools.product(
        folds.of_suite(grid),
        grid["backbones"],
        losses_of(config, name),
        points(grid["sweep"]),
        grid["seeds"],
        grid["variants"],
    )
    tuned = config["regularizer"] == WORD and "validation" not in grid
    chosen = choices(config, grid["scale"]) if tuned else {}
    found = []
    for dataset, backbone, loss, point, seed, variant in cells:
        run = Run(dataset, backbone, loss, variant, seed)
        of_run = choice(chosen, (dataset, backbone, loss)) | point if tuned else point
        found.append(_at(config, run, of_run, grid["scale"]))
    return list(dict.fromkeys(found))


def train_config(config: Config, run: Run) -> Config:
    """Return all that decides a run's weights, as `src/train.py --config` takes it.

    On images of one's own the recipe is fitted to the `sizes` of their entry, if it has them, see
    `tcmbench.photos.plan.with_sizes`.

    Raises:
        UserError: a setting that no matching recipe gives.
    """
    grid = config["suites"][config["suite"]]
    recipe = _recipe(config, run, grid["scale"])
    backbone = config["backbones"][run.backbone]
    name, point = parsed(run.loss)
    loss = config["losses"][name]
    regularizer = usual(config) | of_regularizer(point)
    processes = recipe.pop(PROCESSES, 1)
    pretrained = backbone["weights"] != "none"
    return {
        "dataset": run.dataset,
        "backbone": run.backbone,
        "variant": run.variant,
        "scale": grid["scale"],
        "seed": run.seed,
        "manifest": f"results/data/{grid['scale']}/{run.dataset}/train.csv",
        "images": _images(config, folds.plain(run.dataset), grid["scale"]),
        "weights": f"results/weights/{run.backbone}.safetensors" if pretrained else None,
        "model": {
            "timm": backbone["timm"],
            "model_args": backbone["model_args"],
            **{key: recipe.pop(key) for key in MODEL_KEYS},
        },
        "view": {key: recipe.pop(key) for key in VIEW_KEYS},
        "optimization": recipe,
        "loss": {
            "name": name,
            "params": loss["params"],
            "file": loss.get("file"),
            **({"class_path": loss["class"]} if "class" in loss else {}),
        },
        "regularizer": regularizer if run.variant == "tcm" else None,
        "compute": {key: config["training"][key] for key in COMPUTE_KEYS}
        # One is not named, so that runs from before there was a choice are still those wanted.
        | ({"processes": processes} if processes > 1 else {}),
    }


def watch_options(config: Config) -> str:
    """Return the options of `src/train.py` that change no number, as words of a command."""
    watching = config["training"]
    options = (
        f"--checkpoint-minutes {watching['checkpoint_minutes']} "
        f"--log-seconds {watching['log_seconds']}"
    )
    return options + (" --tensorboard" if watching["tensorboard"] else "")


def _at(config: Config, run: Run, point: Point, scale: str) -> Run:
    """Return a run at a point, without the settings that change nothing in it."""
    if not point:
        return run
    anyway = _merged(config, run, scale) | {
        f"{REGULARIZER}{key}": value for key, value in usual(config).items()
    }
    changed = {
        key: value
        for key, value in point.items()
        if value != anyway.get(key) and not (run.variant == "base" and key.startswith(REGULARIZER))
    }
    return replace(run, loss=named(run.loss, changed))


def _images(config: Config, dataset: str, scale: str) -> str:
    """Return the folder that the paths of a manifest start from."""
    own = config["datasets"].get(dataset)
    return str(images_folder(own)) if own else f"{config['data_root']}/{scale}/{dataset}"


def _recipe(config: Config, run: Run, scale: str) -> Config:
    """Merge the recipes that match a run, the later ones on top, and its swept settings.

    For images of one's own they are fitted to the classes, but for what is swept.
    """
    merged = _merged(config, run, scale)
    missing = sorted(set(settings()) - set(merged) - {PROCESSES})
    if missing:
        raise UserError(
            f"no recipe in config.yaml sets '{missing[0]}' for {run.dataset}, {run.backbone}, "
            f"{run.loss}; add it under 'recipes'"
        )
    dataset, fold = folds.parsed(run.dataset)
    sizes = config["datasets"].get(dataset, {}).get("sizes")
    if sizes is not None:
        merged = merged | fitted(merged, sizes) | of_recipe(parsed(run.loss)[1])
    return merged | _smaller(merged, fold) if fold else merged


def _smaller(recipe: Config, fold: folds.Fold) -> Config:
    """Give a batch the same share of the classes, of which a fold's training has fewer."""
    each = recipe["samples_per_class"]
    classes = recipe["batch_size"] // each * (fold.of - 1) // fold.of
    return {"batch_size": each * max(classes, 1)}


def _merged(config: Config, run: Run, scale: str) -> Config:
    name, point = parsed(run.loss)
    facts = {"scale": scale, **asdict(run), "loss": name, "dataset": folds.plain(run.dataset)}
    merged: Config = {}
    for entry in config["recipes"]:
        if all(facts[key] in listed(names) for key, names in entry["where"].items()):
            merged |= entry["set"]
    return merged | of_recipe(point)


def _check_scales(config: Config) -> None:
    """Refuse two suites of different scale that would write the same run folders."""
    scale_of: dict[str, str] = {}
    for name, suite in config["suites"].items():
        for run in runs(config | {"regularizer": usual(config)}, name):
            if scale_of.setdefault(run.folder, suite["scale"]) != suite["scale"]:
                raise UserError(
                    f"config.yaml suite '{name}' trains backbone '{run.backbone}' on {run.dataset} "
                    f"at another scale than a second suite, into the same folder {run.folder}; "
                    "give the backbone a second entry under another name"
                )
