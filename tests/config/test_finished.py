"""Runs that were not selected and are done: found on disk, if they are the suite's."""

import json
from pathlib import Path
from typing import Any

import pytest

from tcmbench.config.check import Run, runs, train_config
from tcmbench.config.finished import MEASURED, fingerprint, finished, is_measured
from tcmbench.config.schema import Config
from tcmbench.config.selection import narrowed
from tests.config.test_selection import DATASETS, config_of

CELL = ("cub", "resnet50", "smooth_ap")
SCORED = {"far_range": [0.01, 0.1], "beta": 1.0, "epsilon": 0.1, "num_thresholds": 101}


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(config: Config, run: Run, evaluation: str = "", **metrics: Any) -> Path:
    folder = Path(run.folder, evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    for name in MEASURED:
        (folder / name).touch()
    (folder / "metrics.json").write_text(json.dumps(SCORED | metrics))
    record = {"config": train_config(config, run)}
    record["config"]["optimization"]["chunk_size"] = 17
    Path(run.folder, "run.json").write_text(json.dumps(record))
    return folder


def beside(**keys: Any) -> list[Run]:
    config = config_of(**keys)
    return finished(config, runs(config), set(runs(narrowed(config, DATASETS))))


def test_finished_runs_of_the_grid_are_found_with_any_seed() -> None:
    config = config_of()
    mine = [Run(*CELL, "base", 0), Run(*CELL, "tcm", 12), Run("sop", *CELL[1:], "tcm", 0)]
    # Neither the loss nor the dataset is of the suite.
    foreign = [
        Run(*CELL[:2], "circle", "base", 0),
        Run("mnist", "scratch_resnet", "arc_face", "base", 0),
    ]
    for run in (*mine, *foreign):
        write(config, run)
    assert set(beside(only="cars196")) == set(mine)
    # What is selected is made, and not found.
    assert set(beside(only="cub")) == {mine[1], mine[2]}


@pytest.mark.parametrize("name", [*MEASURED, "run.json"])
def test_a_run_without_one_of_its_files_is_not_finished(name: str) -> None:
    run = Run(*CELL, "base", 0)
    (write(config_of(), run) / name).unlink()
    assert beside(only="cars196") == []


def test_runs_of_other_settings_are_not_the_suites() -> None:
    run = Run(*CELL, "tcm", 0)
    write(config_of(), run)
    assert beside(only="cars196") == [run]
    assert beside(only="cars196", evaluation={"epsilon": 0.2}) == []
    assert beside(only="cars196", regularizer={"margin_positive": 0.8}) == []


def test_a_changed_measure_has_another_fingerprint() -> None:
    run = Run(*CELL, "tcm", 0)
    write(config_of(), run)
    before = fingerprint(run)
    assert before == fingerprint(run)
    assert before.startswith(run.folder)
    write(config_of(), run, opis=0.5)
    assert fingerprint(run) != before


def test_each_evaluation_is_found_by_itself() -> None:
    evaluation = [{"name": "usual"}, {"name": "strict", "far_range": [0.001, 0.01]}]
    config = config_of(evaluation=evaluation)
    run = Run(*CELL, "tcm", 0)
    write(config, run)
    assert is_measured(config, run)
    assert not is_measured(config, run, "strict")
    write(config, run, "strict", far_range=[0.001, 0.01])
    assert is_measured(config, run, "strict")
