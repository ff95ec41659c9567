"""The steps, embedding and evaluation of a suite, measured on the device at hand."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from tcmbench import datasets
from tcmbench.config.check import runs, train_config
from tcmbench.config.schema import Config
from tcmbench.embedding import BATCH, embedded
from tcmbench.images.loading import EvaluationView, load_batches, num_workers
from tcmbench.images.views import spans
from tcmbench.metrics import evaluate_all_pairs
from tcmbench.preflight.photographs import write_photographs
from tcmbench.preflight.rows import Row
from tcmbench.preflight.steps import Steps
from tcmbench.training.settings import Settings

# Of most published images, or of a miniature's; distinct ones among the copies. One's own may be
# larger, and take longer to decode.
PIXELS = {"full": (500, 375), "own": (500, 375), "miniature": (64, 48)}
DISTINCT = 64
ROUNDS, STEPS = 2, 2
# Test images of a miniature, about.
FEW = 2000
PER_CLASS = 5
# Batches embedded, at least: a GPU's batch keeps one loading process busy for seconds, and of fewer
# batches than processes the rate would be that of one process.
EMBEDDED = {"cpu": 1, "cuda": 40}


@dataclass(frozen=True)
class Done:
    """Rows of the steps, images embedded a second by backbone, and the evaluation's seconds."""

    rows: list[Row]
    embedding: dict[str, float]
    evaluation: tuple[int, float]


def pairs_of(config: Config) -> list[Settings]:
    """Return a run with TCM of each backbone and loss of a suite, that of the largest batch."""
    found: dict[tuple[str, str], Settings] = {}
    for run in runs(config):
        settings = Settings.from_json(train_config(config, replace(run, variant="tcm")))
        key = settings.backbone, settings.loss.name
        size = settings.optimization.batch_size
        if key not in found or size > found[key].optimization.batch_size:
            found[key] = settings
    return list(found.values())


def measured(config: Config, device: torch.device, folder: Path) -> Done:
    """Take real steps of every pair of a suite, embed, and evaluate as many images as it has.

    Args:
        config: the checked configuration.
        device: where they run.
        folder: for the pictures, about half a gigabyte at full scale.

    Raises:
        UserError: a pair does not fit the GPU.
    """
    grid = config["suites"][config["suite"]]
    pixels, pairs = PIXELS[grid["scale"]], pairs_of(config)
    workers, rows, embedding = num_workers(torch.get_num_threads()), [], {}
    for number, settings in enumerate(pairs, 1):
        plan = settings.optimization
        say(f"{number} of {len(pairs)}: {settings.backbone}, {settings.loss.name}, "
            f"batch {plan.batch_size}")  # fmt: skip
        images = folder / f"{plan.batch_size}_{plan.samples_per_class}"
        write_photographs(images, plan.batch_size, plan.samples_per_class, pixels, DISTINCT)
        own = _on(settings, images)
        steps = Steps(own, device)
        disk, device_alone, without = steps.measured(
            "{}x{}".format(*pixels), ROUNDS, STEPS, workers
        )
        say(f"  {disk.rate:,.0f} images/s from JPEGs, {device_alone.rate:,.0f} on the device, "
            f"{without.rate:,.0f} without TCM; {disk.memory_mb / 1e3:.1f} GB")  # fmt: skip
        rows += [disk, device_alone, without]
        if settings.backbone not in embedding:
            embedding[settings.backbone] = _embedded(steps, images, device)
        del steps
    count = _largest_test(grid["datasets"]) if grid["scale"] == "full" else FEW
    say(f"evaluation of {count:,} images")
    return Done(rows, embedding, (count, _evaluated(count, pairs, device)))


def say(line: str) -> None:
    """Print progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def _on(settings: Settings, images: Path) -> Settings:
    """Return the run on pictures of ours; random weights change no time."""
    plan = replace(settings.optimization, epochs=10**6)
    return replace(
        settings,
        manifest=str(images / "train.csv"),
        images=str(images),
        weights=None,
        optimization=plan,
    )


def _embedded(steps: Steps, images: Path, device: torch.device) -> float:
    """Return images a second, decoded and embedded; starting to load is part of the time."""
    size, found = BATCH[device.type], sorted(images.glob("*.jpg"))
    count = max(len(found), EMBEDDED[device.type] * size)
    paths = list(islice(cycle(found), count))
    batches = load_batches(
        EvaluationView(paths, steps.settings.view), spans(len(paths), size), device.type == "cuda"
    )
    model = steps.engine.model.eval()
    began = time.perf_counter()
    embedded(model, batches, device, len(paths))
    seconds = time.perf_counter() - began
    model.train()
    return len(paths) / seconds


def _largest_test(names: Sequence[str]) -> int:
    return max(datasets.load(name).counts.test_images for name in names)


def _evaluated(count: int, pairs: Sequence[Settings], device: torch.device) -> float:
    """Return the seconds of one pass over all pairs of so many embeddings."""
    random = np.random.default_rng(0)
    labels = np.arange(count) // PER_CLASS
    width = max(settings.model.embedding_size for settings in pairs)
    centres = random.normal(size=(int(labels[-1]) + 1, width)).astype(np.float32)
    embeddings = centres[labels] + random.normal(size=(count, width)).astype(np.float32)
    began = time.perf_counter()
    evaluate_all_pairs(torch.from_numpy(embeddings).to(device), torch.from_numpy(labels).to(device))
    return time.perf_counter() - began
