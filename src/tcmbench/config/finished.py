"""Runs of a suite that lie finished on disk, beside those that a selection asks for."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tcmbench.common.files import read_json, sha256
from tcmbench.config.check import Run, train_config
from tcmbench.config.evaluations import MAIN, evaluations
from tcmbench.config.schema import Config

RECORD = "run.json"
MEASURED = ("metrics.json", "utility.parquet", "curves.parquet", "classes.parquet")
# Of a training's configuration, what a run has to agree in; `optimization` but for how it computes.
SECTIONS = ("scale", "model", "view", "optimization", "regularizer")
COMPUTED = ("chunk_size", "kept_chunks")
SETTINGS = ("far_range", "beta", "epsilon", "num_thresholds")


def finished(config: Config, whole: Sequence[Run], selected: Collection[Run]) -> list[Run]:
    """Return the finished runs of the cells of a suite, with whatever seed, that are not selected.

    Runs that were trained or measured with other settings than the configuration's are none of the
    suite's.

    Args:
        config: the whole configuration, with its defaults.
        whole: all runs of the suite.
        selected: runs that the workflow makes itself.
    """
    cells = dict.fromkeys(replace(run, seed=0) for run in whole)
    found = (run for cell in cells for run in _on_disk(cell) if run not in selected)
    return [run for run in found if _as_configured(config, run)]


def is_measured(config: Config, run: Run, evaluation: str = MAIN) -> bool:
    """Say whether a run was scored, with these settings of the configuration."""
    folder = Path(run.folder, evaluation)
    if not all((folder / name).is_file() for name in MEASURED):
        return False
    metrics, settings = read_json(folder / MEASURED[0]), evaluations(config)[evaluation]
    return all(metrics.get(key) == settings[key] for key in SETTINGS)


def fingerprint(run: Run, evaluation: str = MAIN) -> str:
    """Return the folder of a finished run with the hashes of its record and its metrics."""
    files = Path(run.folder, RECORD), Path(run.folder, evaluation, MEASURED[0])
    return " ".join([run.folder, *(sha256(file) for file in files)])


def _on_disk(cell: Run) -> Iterator[Run]:
    """Yield the runs of a cell that have a record, by seed."""
    seeds = sorted(
        int(match[1])
        for record in Path(cell.folder).parent.glob(f"seed*/{RECORD}")
        if (match := re.fullmatch(r"seed(\d+)", record.parent.name))
    )
    yield from (replace(cell, seed=seed) for seed in seeds)


def _as_configured(config: Config, run: Run) -> bool:
    recorded = read_json(Path(run.folder, RECORD)).get("config") or {}
    wanted = train_config(config, run)
    # A rule of the user's own records what it likes.
    pairs = [(recorded[key], wanted[key]) for key in SECTIONS if key in recorded]
    if "loss" in recorded:
        pairs.append((recorded["loss"].get("params"), wanted["loss"]["params"]))
    return is_measured(config, run) and all(_decisive(a) == _decisive(b) for a, b in pairs)


def _decisive(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {key: value for key, value in part.items() if key not in COMPUTED}
