"""R@1 and OPIS of the quick suite's trainings in each precision, computed as a GPU computes it.

    snakemake --cores all --config suite=quick --until prepare weights
    python tests/benchmarks/bench_precision_runs.py

The first makes what trainings start from. The second makes all 224 of them, four data sets, two
networks, two losses, base and +TCM in seven ways, one by one; stopped, it goes on with `--go-on`.
Two float32 trainings more say what a difference means: one that differs in rounding alone (its
batches in two halves), and one with another seed.
"""

import argparse
import csv
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import numpy as np
import torch
import yaml
from precision_ways import WAYS, as_on_a_gpu, precision_of
from reference_file import reference_file

from tcmbench import datasets
from tcmbench.common.files import atomic_path
from tcmbench.config.check import Run, check, train_config
from tcmbench.embedding import embed
from tcmbench.losses import available_losses
from tcmbench.metrics import evaluate_all_pairs
from tcmbench.training.loop import Watching, train
from tcmbench.training.settings import Settings

NAMES = ("way", "dataset", "backbone", "loss", "variant")
LOSSES, VARIANTS = ("smooth_ap", "recall_at_k"), ("base", "tcm")
EXACT, HALVED, SEED = "float32", "float32, other rounding", "float32, other seed"
TRAINED = (EXACT, HALVED, SEED, *(way for way in WAYS[1:] if precision_of(way) == way))


def changed(config: dict[str, Any], way: str) -> Settings:
    """The quick suite's configuration of a run, computed in one way."""
    config["compute"]["precision"] = "float32" if way in (HALVED, SEED) else way
    if way == HALVED:
        config["optimization"]["chunk_size"] = config["optimization"]["batch_size"] // 2
    if way == SEED:
        config["seed"] += 1
    return Settings.from_json(config)


def scores(settings: Settings, way: str, folder: Path) -> dict[str, Any]:
    """Train, embed and evaluate one run."""
    emulated = nullcontext() if way in (EXACT, HALVED, SEED) else as_on_a_gpu(way)
    with emulated:
        train(settings, folder, "cpu", watching=Watching(log_seconds=1e9))
    manifest = Path(settings.manifest).with_name("test.csv")
    out = folder / "embeddings.npz"
    embed(folder, manifest, Path(settings.images), out, torch.device("cpu"))
    found = json.loads((folder / "run.json").read_text())
    with np.load(out) as file:
        metrics = evaluate_all_pairs(file["embeddings"], file["labels"], k=(1,))
    return {
        "recall_at_1": metrics.recall[1],
        "opis": metrics.consistency.opis,
        "epsilon_opis": metrics.consistency.epsilon_opis,
        "final_loss": found["loss_curve"][-1],
        "skipped_steps": found["skipped_steps"],
    }


def rows(options: argparse.Namespace, done: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All runs of one way before the next, so that a table cut short is one of whole ways."""
    known = {tuple(row[name] for name in NAMES) for row in done}
    for cell in itertools.product(options.way, options.dataset, options.backbone, LOSSES, VARIANTS):
        if cell not in known:
            yield dict(zip(NAMES, cell, strict=True)) | measured(*cell, options.seed)


def measured(
    way: str, dataset: str, backbone: str, loss: str, variant: str, seed: int
) -> dict[str, Any]:
    """The scores of one run of the quick suite, computed in one way."""
    config = quick_config(Run(dataset, backbone, loss, variant, seed))
    with tempfile.TemporaryDirectory() as folder:
        return scores(changed(config, way), way, Path(folder))


def quick_config(run: Run) -> dict[str, Any]:
    """The configuration of a run of the quick suite."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"suite": "quick"}
    return train_config(check(raw, datasets.names(), available_losses()), run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", nargs="+", default=["cub", "cars196", "sop", "inat2018"])
    parser.add_argument("--backbone", nargs="+", default=["test_resnet", "test_vit"])
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--way", nargs="+", choices=TRAINED, default=TRAINED)
    parser.add_argument("--folder", type=Path, default=ROOT, help="that holds results/")
    parser.add_argument("--out", type=Path, help="default: results/reference/precision-runs-*.csv")
    parser.add_argument("--go-on", action="store_true", help="keep the rows that --out has")
    options = parser.parse_args()
    out = (options.out or reference_file("precision-runs", "cpu")).absolute()
    # One thread, as the quick suite gives each training: results depend on it.
    torch.set_num_threads(1)
    os.chdir(options.folder)
    found = []
    if options.go_on:
        with out.open(newline="") as file:
            found = list(csv.DictReader(file))
    for row in rows(options, found):
        found.append(row)
        print(*row.values(), flush=True)
        with atomic_path(out) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)


if __name__ == "__main__":
    main()
