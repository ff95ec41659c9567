"""Run folders for the tests of bundles: small embeddings, measured by the real command."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tcmbench import commands
from tcmbench.bundles.pins import read_pins
from tcmbench.config.check import Run, train_config
from tests.paths import ROOT

CLASSES, IMAGES = 12, 5
CONFIG = ROOT / "config.yaml"
LABELS = np.repeat(np.arange(CLASSES), IMAGES)
PATHS = np.array([f"images/{label}/{number}.jpg" for number, label in enumerate(LABELS)])


def write_runs(root: Path, **changes: Any) -> list[Path]:
    """Write a base and a tcm run of the quick suite; `changes` go into both of their run.json."""
    return [write_run(root, variant, **changes) for variant in ("base", "tcm")]


def write_run(
    root: Path, variant: str, labels: Any = LABELS, paths: Any = PATHS, **changes: Any
) -> Path:
    """Write one run folder, evaluated."""
    run = Run("cub", "test_resnet", "smooth_ap", variant, 0)
    folder = root / run.folder
    folder.mkdir(parents=True)
    weights = hashlib.sha256(variant.encode()).hexdigest()
    random = np.random.default_rng(len(variant))
    rows = np.random.default_rng(0).normal(size=(CLASSES, 16))[labels % CLASSES]
    rows = (rows + 0.8 * random.normal(size=rows.shape)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    arrays = {"embeddings": rows, "labels": labels, "paths": paths}
    np.savez(folder / "embeddings.npz", **arrays, weights_sha256=np.array(weights))
    record = {
        "config": train_config(read_pins(CONFIG) | {"suite": "quick"}, run),
        "weights_sha256": weights,
        "data": {"manifest": "/home/jane/tcm/results/data/miniature/cub/train.csv"},
        "hardware": {"cpu": "A processor", "gpu": None},
        "packages": {"torch": "2.15.0"},
        "created": "2026-01-02T03:04:05+00:00",
    }
    record |= changes
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "log.csv").write_text("epoch,step\n1,1\n")
    evaluate(folder)
    return folder


def evaluate(folder: Path) -> None:
    """Measure a run as its suite does."""
    names = {"utility": "utility.parquet", "curves": "curves.parquet", "classes": "classes.parquet"}
    files = [word for key, name in names.items() for word in (f"--{key}", str(folder / name))]
    source = ("--embeddings", str(folder / "embeddings.npz"), "--out", str(folder / "metrics.json"))
    commands.main(["evaluate", *source, *files, "--device", "cpu"])


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; a name with dots goes into objects."""
    content = json.loads(path.read_text())
    for name, value in changes.items():
        *above, last = name.split("__")
        inner = content
        for key in above:
            inner = inner[key]
        inner[last] = value
    path.write_text(json.dumps(content))
