"""Run folders, read and held to have been measured alike."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.config import folds
from tcmbench.config.check import Run
from tcmbench.config.pairs import base_of
from tcmbench.config.sweeps import parsed
from tcmbench.tables.names import VARIANTS, cell_order

LAYOUT = "{dataset}/{backbone}/{loss}/{base|tcm}/seed{number}"
MEASURED = ("recall_at_1", "opis", "epsilon_opis")
# Runs that differ in one of these were not measured alike and do not belong into one table.
SETTINGS = ("far_range", "frr_range", "num_thresholds", "beta", "epsilon")

Cell = tuple[str, str, str]


@dataclass(frozen=True)
class MeasuredRun:
    """One run folder: who it is (from its path), what was measured, where it comes from."""

    run: Run
    folder: Path
    metrics: dict[str, Any]
    record: dict[str, Any]
    evaluation: str = ""

    @property
    def measures(self) -> Path:
        """Folder of what was measured, with the settings of one evaluation."""
        return self.folder / self.evaluation

    @property
    def cell(self) -> Cell:
        """Dataset, backbone and loss, with its swept settings, if any, in the loss's name."""
        return folds.plain(self.run.dataset), self.run.backbone, self.run.loss

    @property
    def base_cell(self) -> Cell:
        """The cell of the base run: without settings of the regularizer, which it has none of."""
        base = base_of(self.run)
        return folds.plain(base.dataset), base.backbone, base.loss

    @property
    def fold(self) -> folds.Fold | None:
        """The fold of the training classes that was scored, None for the test classes."""
        return folds.parsed(self.run.dataset)[1]

    @property
    def scale(self) -> str:
        """Return `full`, `miniature` or `own`."""
        return str(self.record.get("config", {}).get("scale", "full"))

    @property
    def image_cache(self) -> dict[str, Any] | None:
        """Return how the images were resized when they were stored, None for originals."""
        cache: dict[str, Any] | None = self.record.get("data", {}).get("image_cache")
        return cache

    @property
    def weights(self) -> tuple[str | None, str | None]:
        """Return the hash of the weights that were measured, and of those that were trained."""
        measured = self.metrics.get("provenance", {}).get("weights_sha256")
        return measured, self.record.get("weights_sha256")

    @property
    def left_out(self) -> list[str]:
        """Return the images that were left out since they cannot be decoded."""
        return sorted(self.record.get("data", {}).get("unreadable") or ())


def read_runs(folders: Iterable[Path | str], evaluation: str = "") -> list[MeasuredRun]:
    """Read run folders, in the order of print.

    Args:
        folders: run folders.
        evaluation: folder in each of them with what was measured; default the run's own.

    Raises:
        UserError: no folder, a folder that is no run or names no swept point, the same run twice,
            or runs of another scale or measured with other settings than the rest.
    """
    runs = sorted((_read(Path(folder), evaluation) for folder in folders), key=_order)
    if not runs:
        raise UserError("no run folder was given; name at least one base and one tcm run")
    for first, second in pairwise(runs):
        if first.run == second.run:
            raise UserError(
                f"{first.folder} and {second.folder} are the same run; name each run once"
            )
    _check_alike(runs)
    return runs


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read the metrics.json of a folder.

    Raises:
        UserError: it is missing, or lacks what every table prints.
    """
    metrics: Any = read_json(folder / "metrics.json")
    for key in MEASURED:
        value = metrics.get(key) if isinstance(metrics, dict) else None
        if isinstance(value, bool | None | str | list | dict) or not math.isfinite(value):
            raise UserError(f"{folder / 'metrics.json'} has no number '{key}'; evaluate it again")
    known: dict[str, Any] = metrics
    return known


def read_record(folder: Path) -> dict[str, Any]:
    """Read the run.json of a folder.

    Raises:
        UserError: it is missing or is not the record of a training.
    """
    path = folder / "run.json"
    record = read_json(path)
    config, data = _part(record, "config"), _part(record, "data")
    # Records of earlier versions have null where nothing was left out.
    left_out = _part(data, "unreadable")
    left_out = {} if left_out is None else left_out
    if not all(isinstance(part, dict) for part in (config, data, left_out)):
        raise UserError(f"{path} is not the record of a training; train the run again")
    known: dict[str, Any] = record
    return known


def _part(record: Any, name: str) -> Any:
    """Return a part of a record, which it may lack; 0 where the record is none."""
    return record.get(name, {}) if isinstance(record, dict) else 0


def _read(folder: Path, evaluation: str) -> MeasuredRun:
    run = _identity(folder)
    metrics, record = read_metrics(folder / evaluation), read_record(folder)
    found = MeasuredRun(run, folder, metrics, record, evaluation)
    measured, described = found.weights
    if measured and described and measured != described:
        raise UserError(
            f"{folder / evaluation / 'metrics.json'} was measured of other weights than run.json "
            "beside it describes; embed and evaluate the run again"
        )
    return found


def _identity(folder: Path) -> Run:
    parts = folder.absolute().parts[-5:]
    seed = re.fullmatch(r"seed(\d+)", parts[-1])
    if len(parts) < 5 or seed is None or parts[3] not in VARIANTS:
        raise UserError(f"{folder} is not a run folder; its path must end in {LAYOUT}")
    dataset, backbone, loss, variant = parts[:4]
    folds.parsed(dataset)
    parsed(loss)
    return Run(dataset, backbone, loss, variant, int(seed[1]))


def _order(run: MeasuredRun) -> tuple[Any, ...]:
    return *cell_order(*run.cell), run.run.dataset, run.run.variant, run.run.seed


def _check_alike(runs: Sequence[MeasuredRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.scale != first.scale:
            raise UserError(
                f"{run.folder} is of scale '{run.scale}' but {first.folder} of '{first.scale}'; "
                "make a table of each scale"
            )
        if run.image_cache != first.image_cache:
            raise UserError(
                f"{run.folder} was trained with image_cache {run.image_cache} but {first.folder} "
                f"with {first.image_cache}; make a table of each"
            )
    _check_images(runs)
    check_settings(runs)


def _check_images(runs: Sequence[MeasuredRun]) -> None:
    """Refuse runs on one dataset that did not have the same images."""
    first: dict[str, MeasuredRun] = {}
    for run in runs:
        other = first.setdefault(run.run.dataset, run)
        if run.left_out != other.left_out:
            raise UserError(
                f"{run.folder} was trained without {len(run.left_out)} images that cannot be "
                f"decoded but {other.folder} without {len(other.left_out)}; train both on the same "
                "manifest"
            )


def check_settings(runs: Sequence[MeasuredRun]) -> None:
    """Refuse runs that were not measured alike.

    Raises:
        UserError: two differ in a setting of the evaluation.
    """
    first = runs[0]
    for run in runs[1:]:
        for key in SETTINGS:
            if run.metrics.get(key) != first.metrics.get(key):
                raise UserError(
                    f"{run.folder} was evaluated with {key} {run.metrics.get(key)} but "
                    f"{first.folder} with {first.metrics.get(key)}; evaluate both alike"
                )
