"""GPU-hours of a suite before it runs: images to be embedded, divided by images a second.

Only training is counted. Decoding keeps up with the GPU where it was measured so, and embedding the
test images once is below a percent of a training.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, runs, train_config
from tcmbench.config.schema import Config
from tcmbench.images.manifests import read_manifest
from tcmbench.training.sampling import epoch_batches

# Where tests/benchmarks/bench_step.py puts its tables, and its name for a step with everything in.
MEASURED = "results/reference/steps_*.csv"
FROM_DISK = "JPEGs from disk"
COLUMNS = ("backbone", "way", "batch_size", "chunk_size", "images_per_second", "device")
# A forward pass is a third of a forward and a backward one.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Rates:
    """Images a second, forward and backward, by backbone and by passes (1 or 2) of a step."""

    source: str
    values: Mapping[tuple[str, int], float]

    def seconds(self, backbone: str, images: int, embedded_twice: float) -> float:
        """Return the time for images of which a share is embedded twice.

        Where only the rate of single passes is known, a second forward pass adds a third.

        Raises:
            UserError: there is no rate for the backbone.
        """
        if embedded_twice and (backbone, 2) in self.values:
            return images / self.values[backbone, 2]
        if (backbone, 1) not in self.values:
            raise UserError(
                f"the rates ({self.source}) name no '{backbone}' in one pass; measure it, or add "
                f"{backbone}=NUMBER to --rates"
            )
        return images * (1 + FORWARD * embedded_twice) / self.values[backbone, 1]


@dataclass(frozen=True)
class Cost:
    """What the runs of one dataset, backbone and loss take; base and tcm take the same."""

    dataset: str
    backbone: str
    loss: str
    steps: int
    exact: bool
    epochs: int
    batch_size: int
    passes: int
    hours: float
    runs: int

    @property
    def total(self) -> float:
        """GPU-hours of all variants and seeds."""
        return self.hours * self.runs


def given(text: str) -> Rates:
    """Read rates such as `resnet50=3000,vit_b16=1200`, of single passes.

    Raises:
        UserError: not of this form, or a rate that is not positive.
    """
    values = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not name or not 0 < rate < float("inf"):
            raise UserError(
                f"--rates '{part}' is not NAME=IMAGES_PER_SECOND; write for instance "
                "resnet50=3000,vit_b16=1200, or name a table of bench_step.py"
            )
        values[name.strip(), 1] = rate
    shown = ", ".join(f"{name} {rate:,.0f}" for (name, _), rate in values.items())
    return Rates(f"ASSUMED, not measured: {shown} images/s forward and backward", values)


def measured(path: Path) -> Rates:
    """Read a table of tests/benchmarks/bench_step.py; of several sizes of JPEG the slowest counts.

    Raises:
        UserError: the file is missing or is no such table.
    """
    try:
        with path.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["way"] == FROM_DISK]
        found: dict[tuple[str, int], float] = {}
        for row in rows:
            key = row["backbone"], 1 + (int(row["batch_size"]) > int(row["chunk_size"]))
            found[key] = min(float(row["images_per_second"]), found.get(key, float("inf")))
        device = rows[0]["device"]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; measure it with bench_step.py --csv") from None
    except (KeyError, ValueError, IndexError, csv.Error):
        raise UserError(
            f"{path} is no table of bench_step.py (it needs {', '.join(COLUMNS)} and a row of "
            f"'{FROM_DISK}'); measure it anew"
        ) from None
    return Rates(f"measured on {device}: {path}", found)


def costs(config: Config, rates: Rates, folder: Path) -> list[Cost]:
    """Estimate every cell of the chosen suite, in the order of its grid.

    Args:
        config: the checked configuration.
        rates: images a second.
        folder: working directory, whose prepared manifests give exact numbers of steps.

    Raises:
        UserError: a backbone without a rate, or a miniature that is not made yet.
    """
    cells: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs(config):
        cells.setdefault((run.dataset, run.backbone, run.loss), []).append(run)
    return [_cost(train_config(config, same[0]), same, rates, folder) for same in cells.values()]


def table(found: Iterable[Cost], suite: str, source: str) -> list[str]:
    """Return the lines to print: one a cell, the total, and each dataset's share of it."""
    found = list(found)
    total = sum(cost.total for cost in found)
    lines = [
        f"GPU-hours of suite {suite}, training alone; rates {source}",
        f"{'dataset':10}{'backbone':13}{'loss':13}{'batch':>6}{'steps/epoch':>13}{'epochs':>8}"
        f"{'passes':>8}{'h/run':>9}{'runs':>6}{'hours':>9}",
    ]
    lines += [
        f"{cost.dataset:10}{cost.backbone:13}{cost.loss:13}{cost.batch_size:6}"
        f"{('' if cost.exact else '<= ') + str(cost.steps):>13}{cost.epochs:8}{cost.passes:8}"
        f"{cost.hours:9.2f}{cost.runs:6}{cost.total:9.2f}"
        for cost in found
    ]
    lines.append(f"{'total':76}{sum(cost.runs for cost in found):10}{total:9.2f}")
    for name in dict.fromkeys(cost.dataset for cost in found):
        hours = sum(cost.total for cost in found if cost.dataset == name)
        lines.append(f"{name:10}{hours:9.2f} h, {100 * hours / total:.0f} %")
    if not all(cost.exact for cost in found):
        lines.append("<= images / batch, an upper bound; exact once the data is prepared")
    return lines


def _cost(values: Config, same: list[Run], rates: Rates, folder: Path) -> Cost:
    plan, run = values["optimization"], same[0]
    batch, chunk = plan["batch_size"], plan["chunk_size"]
    steps, exact = _steps(values, folder)
    twice = 0.0 if batch <= chunk else max(0.0, 1 - plan.get("kept_chunks", 0) * chunk / batch)
    seconds = rates.seconds(run.backbone, plan["epochs"] * steps * batch, twice)
    return Cost(
        run.dataset,
        run.backbone,
        run.loss,
        steps,
        exact,
        plan["epochs"],
        batch,
        2 if twice else 1,
        seconds / 3600,
        len(same),
    )


def _steps(values: dict[str, Any], folder: Path) -> tuple[int, bool]:
    """Count the steps of an epoch: drawn where the manifest is there, else images / batch."""
    plan, manifest = values["optimization"], folder / values["manifest"]
    if manifest.exists():
        labels = np.array([item.label for item in read_manifest(manifest)], dtype=np.int64)
        sizes = plan["batch_size"], plan["samples_per_class"]
        return len(epoch_batches(labels, *sizes, seed=values["seed"], epoch=0)), True
    if values["scale"] != "full":
        raise UserError(
            f"{manifest} is not there and says how large the miniature is; make it with "
            "`snakemake data`"
        )
    from tcmbench import datasets

    images = datasets.load(values["dataset"]).counts.train_images
    return images // plan["batch_size"], False
