"""config.yaml: checked against its schema, completed with defaults, unrolled into runs."""

import functools
import itertools
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tcmbench.errors import UserError, nearest

Config = dict[str, Any]

SCHEMA = Path(__file__).resolve().parents[2] / "workflow/schemas/config.schema.yaml"

# How a recipe's settings are grouped in a training's configuration.
MODEL_KEYS = ("pooling", "layer_norm", "embedding_size", "freeze_batch_norm")
VIEW_KEYS = ("resize", "crop", "crop_scale", "flip")
# Of `training`, what a run's numbers depend on.
COMPUTE_KEYS = ("precision", "compile")


@dataclass(frozen=True)
class Run:
    """One training and all that follows from it."""

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


@functools.cache
def load_schema() -> Config:
    """Read the schema of config.yaml."""
    import yaml

    schema: Config = yaml.safe_load(SCHEMA.read_text())
    return schema


def check(raw: Config, datasets: Collection[str], losses: Collection[str]) -> Config:
    """Return `raw` with defaults filled in.

    Args:
        raw: content of config.yaml.
        datasets: names of the datasets that have a file.
        losses: names of the losses that have a file in the library.

    Raises:
        UserError: an unknown key, a wrong type, or a name that nothing answers to.
    """
    import jsonschema

    schema = load_schema()
    errors = jsonschema.Draft202012Validator(schema).iter_errors(raw)
    first = min(errors, key=lambda error: len(error.absolute_path), default=None)
    if first is not None:
        raise UserError(_sentence(first))
    config: Config = _with_defaults(raw, schema)
    _check_names(config, datasets, losses)
    _check_scales(config)
    return config


def runs(config: Config, suite: str | None = None) -> list[Run]:
    """List the runs of a suite (default: the chosen one), paired variants side by side."""
    name = suite or config["suite"]
    grid = config["suites"][name]
    losses = [loss for loss, entry in config["losses"].items() if _joins(entry, name)]
    cells = itertools.product(
        grid["datasets"], grid["backbones"], losses, grid["seeds"], grid["variants"]
    )
    return [
        Run(dataset, backbone, loss, variant, seed)
        for dataset, backbone, loss, seed, variant in cells
    ]


def train_config(config: Config, run: Run) -> Config:
    """Return all that decides a run's weights, as `src/train.py --config` takes it.

    Raises:
        UserError: a setting that no matching recipe gives.
    """
    grid = config["suites"][config["suite"]]
    settings = _recipe(config, run, grid["scale"])
    backbone = config["backbones"][run.backbone]
    loss = config["losses"][run.loss]
    data = f"{grid['scale']}/{run.dataset}"
    pretrained = backbone["weights"] != "none"
    return {
        "dataset": run.dataset,
        "backbone": run.backbone,
        "variant": run.variant,
        "scale": grid["scale"],
        "seed": run.seed,
        "manifest": f"results/data/{data}/train.csv",
        "images": f"{config['data_root']}/{data}",
        "weights": f"results/weights/{run.backbone}.safetensors" if pretrained else None,
        "model": {
            "timm": backbone["timm"],
            "model_args": backbone["model_args"],
            **{key: settings.pop(key) for key in MODEL_KEYS},
        },
        "view": {key: settings.pop(key) for key in VIEW_KEYS},
        "optimization": settings,
        "loss": {"name": run.loss, "params": loss["params"], "file": loss.get("file")},
        "regularizer": config["regularizer"] if run.variant == "tcm" else None,
        "compute": {key: config["training"][key] for key in COMPUTE_KEYS},
    }


def watch_options(config: Config) -> str:
    """Return the options of `src/train.py` that change no number, as words of a command."""
    watching = config["training"]
    options = (
        f"--checkpoint-minutes {watching['checkpoint_minutes']} "
        f"--log-seconds {watching['log_seconds']}"
    )
    return options + (" --tensorboard" if watching["tensorboard"] else "")


def _recipe(config: Config, run: Run, scale: str) -> Config:
    """Merge the recipes that match a run, the later ones on top."""
    facts = {"scale": scale, **asdict(run)}
    merged: Config = {}
    for entry in config["recipes"]:
        if all(facts[key] in _listed(names) for key, names in entry["where"].items()):
            merged |= entry["set"]
    known = load_schema()["properties"]["recipes"]["items"]["properties"]["set"]["properties"]
    missing = sorted(set(known) - set(merged))
    if missing:
        raise UserError(
            f"no recipe in config.yaml sets '{missing[0]}' for {run.dataset}, {run.backbone}, "
            f"{run.loss}; add it under 'recipes'"
        )
    return merged


def _joins(loss: Config, suite: str) -> bool:
    return "suites" not in loss or suite in loss["suites"]


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _with_defaults(value: Any, schema: Any) -> Any:
    """Fill in the schema's defaults, in every object that is there or has a default itself."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return value
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    known: Config = schema.get("properties", {})
    filled = {key: part["default"] for key, part in known.items() if "default" in part} | value
    other = schema.get("additionalProperties")
    return {key: _with_defaults(item, known.get(key, other)) for key, item in filled.items()}


def _sentence(error: Any) -> str:
    """Say a schema error as one sentence with the key, the value and the nearest valid one."""
    where = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{where}." if where else ""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        key = next(name for name in error.instance if name not in known)
        return f"config.yaml has an unknown key '{prefix}{key}'; {nearest(str(key), known)}"
    if error.validator == "enum":
        options = [str(option) for option in error.validator_value]
        hint = nearest(str(error.instance), options)
        return f"config.yaml key '{where}' cannot be {error.instance!r}; {hint}"
    if error.validator == "type":
        return (
            f"config.yaml key '{where}' must be of type {error.validator_value}, "
            f"not {error.instance!r}; {error.schema.get('description', 'see the README')}"
        )
    name = where or "(top level)"
    return f"config.yaml key '{name}' is wrong: {error.message}; see the README's table"


def _check_names(config: Config, datasets: Collection[str], losses: Collection[str]) -> None:
    """Check every name that one part of the configuration uses for another."""
    suites = config["suites"]
    _known("suite", [config["suite"]], suites)
    for name, suite in suites.items():
        _known(f"suites.{name}.datasets", suite["datasets"], datasets)
        _known(f"suites.{name}.backbones", suite["backbones"], config["backbones"])
    for name, loss in config["losses"].items():
        _known(f"losses.{name}.suites", loss.get("suites", []), suites)
        if "file" not in loss and loss["rule"] == "generated":
            _known("losses", [name], losses)
    _known("layouts", config["layouts"], datasets)
    known = {
        "scale": ("full", "miniature"),
        "dataset": datasets,
        "backbone": config["backbones"],
        "loss": config["losses"],
    }
    for number, entry in enumerate(config["recipes"]):
        for key, names in entry["where"].items():
            _known(f"recipes.{number}.where.{key}", _listed(names), known[key])


def _known(key: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"config.yaml key '{key}' names an unknown '{name}'; {hint}")


def _check_scales(config: Config) -> None:
    """Refuse two suites of different scale that would write the same run folders."""
    scale_of: dict[str, str] = {}
    for name, suite in config["suites"].items():
        for run in runs(config, name):
            if scale_of.setdefault(run.folder, suite["scale"]) != suite["scale"]:
                raise UserError(
                    f"config.yaml suite '{name}' trains backbone '{run.backbone}' on {run.dataset} "
                    f"at another scale than a second suite, into the same folder {run.folder}; "
                    "give the backbone a second entry under another name"
                )
