"""A training set of real handwriting, small enough to train on in a second, and its settings."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tcmbench.common.commands import run_command
from tcmbench.images.manifests import Item, write_manifest
from tcmbench.miniatures.render import Style, compose
from tcmbench.miniatures.scans import choose_scans, scan_images

CLASSES = 8
IMAGES_PER_CLASS = 7
# Of 7 images a class gives 3 twice; 4 classes fill a batch, so 8 classes fill 4.
BATCHES = 4
STYLE = Style(
    height=36,
    width=40,
    papers=((240, 240, 230), (30, 60, 90)),
    inks=((10, 10, 10), (250, 240, 200)),
    shade=6.0,
    noise=4.0,
    clutter=1,
)


def write_images(folder: Path) -> None:
    """Write `train.csv` and, beside it, the JPEGs of the numbers 10 to 17."""
    rng = np.random.default_rng(7)
    items = []
    for number in range(10, 10 + CLASSES):
        for place in range(IMAGES_PER_CLASS):
            path = folder / f"{number}/{place}.jpg"
            path.parent.mkdir(exist_ok=True)
            drawings = scan_images(choose_scans(str(number), "train", rng))
            compose(list(drawings), STYLE, rng).save(path, quality=90)
            items.append(Item(f"{number}/{place}.jpg", number, str(number)))
    write_manifest(folder / "train.csv", items)


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a complete training configuration; `changes` name keys at any depth."""
    values: dict[str, Any] = {
        "dataset": "tiny",
        "backbone": "test_resnet",
        "variant": "base",
        "scale": "miniature",
        "seed": 0,
        "manifest": str(folder / "train.csv"),
        "images": str(folder),
        "weights": None,
        "model": {
            "timm": "test_resnet",
            "pooling": "gem",
            "layer_norm": True,
            "embedding_size": 16,
            "freeze_batch_norm": True,
            "model_args": {},
        },
        "view": {"resize": 36, "crop": 32, "crop_scale": [0.7, 1.0], "flip": 0.5},
        "optimization": {
            "batch_size": 12,
            "samples_per_class": 3,
            "chunk_size": 12,
            "kept_chunks": 0,
            "epochs": 3,
            "milestones": [2],
            "gamma": 0.3,
            "learning_rate": 0.001,
            "weight_decay": 0.0004,
            "optimizer": "adam",
        },
        "loss": {"name": "smooth_ap", "params": {}, "file": None, "class_path": None},
        "regularizer": None,
        "compute": {"precision": "auto", "compile": False},
    }
    for key, value in changes.items():
        _holder(values, key)[key] = value
    return values


def margins() -> dict[str, Any]:
    """Return the changes that make a configuration a TCM one."""
    return {
        "variant": "tcm",
        "regularizer": {"margin_positive": 0.9, "margin_negative": 0.5},
    }


def exit_code(door: ModuleType, *arguments: object) -> int:
    """Run a command of src/ in this process, as its script would."""
    try:
        run_command(door.parser(), door.command, [str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _holder(values: dict[str, Any], key: str) -> dict[str, Any]:
    parts = [values, *(part for part in values.values() if isinstance(part, dict))]
    return next(part for part in parts if key in part)
