"""Run folders for the tests of tables and figures, as the evaluation would leave them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRICS: dict[str, Any] = {
    "recall_at_1": 0.5,
    "recall_at_k": {"1": 0.5},
    "map_at_r": 0.4,
    "opis": 0.004,
    "epsilon_opis": 0.04,
    "epsilon": 0.1,
    "d_min": 0.8,
    "d_max": 1.0,
    "far_range": [0.01, 0.1],
    "frr_range": None,
    "beta": 1.0,
    "num_thresholds": 101,
    "num_images": 60,
    "num_classes": 6,
    "num_excluded_classes": 1,
}
CUB = "cub/resnet50/smooth_ap"
# Thresholds and images of each class of `measured_pair`.
GRID = np.linspace(0.8, 1.0, 7)
IMAGES = np.array([3, 9, 4, 4, 5, 8, 2, 6, 7, 3, 5, 4])


def write_run(
    root: Path,
    name: str,
    scale: str = "full",
    image_cache: dict[str, Any] | None = None,
    unreadable: dict[str, str] | None = None,
    **metrics: Any,
) -> Path:
    """Write a run folder `root/name`, where name ends in /{variant}/seed{number}."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(METRICS | metrics))
    data = {"image_cache": image_cache, "unreadable": unreadable or {}}
    record = {"config": {"scale": scale}, "data": data}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def write_pair(
    root: Path,
    cell: str = CUB,
    seed: int = 0,
    base: dict[str, Any] | None = None,
    tcm: dict[str, Any] | None = None,
    scale: str = "full",
    image_cache: dict[str, Any] | None = None,
    unreadable: dict[str, str] | None = None,
) -> list[Path]:
    """Write the base and the tcm run of a cell."""
    return [
        write_run(root, f"{cell}/base/seed{seed}", scale, image_cache, unreadable, **(base or {})),
        write_run(root, f"{cell}/tcm/seed{seed}", scale, image_cache, unreadable, **(tcm or {})),
    ]


def write_utility(
    folder: Path, thresholds: Any, utility: Any, name: str = "utility.parquet"
) -> None:
    """Write utility.parquet: thresholds [K], utility [T, K], classes 10, 11, ..."""
    classes, points = np.shape(utility)
    table = pd.DataFrame(
        {
            "class": np.repeat(np.arange(10, 10 + classes), points),
            "threshold": np.tile(thresholds, classes),
            "utility": np.ravel(utility),
            "sensitivity": 0.5,
            "specificity": 0.5,
        }
    )
    # Order of rows is no part of the contract.
    table.sample(frac=1, random_state=0).to_parquet(folder / name)


def write_classes(folder: Path, images: Any, recall: Any) -> None:
    """Write classes.parquet: images [C] and R@1 [C] of the classes 10, 11, ..."""
    table = pd.DataFrame(
        {
            "class": np.arange(10, 10 + len(images)),
            "num_images": images,
            "recall_at_1": recall,
        }
    )
    table.sample(frac=1, random_state=0).to_parquet(folder / "classes.parquet")


def measured_pair(root: Path, cell: str = CUB, seed: int = 0) -> list[Path]:
    """A base and a tcm run with curves and hits of twelve classes."""
    random = np.random.default_rng(seed)
    folders = write_pair(root, cell, seed)
    for folder in folders:
        write_utility(folder, GRID, random.random((12, 7)))
        write_classes(folder, IMAGES, random.integers(0, IMAGES + 1) / IMAGES)
    return folders
