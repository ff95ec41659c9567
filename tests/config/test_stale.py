"""A run that was trained with another configuration is named, whatever Snakemake knows of it."""

import json
from dataclasses import replace

import pytest

from tcmbench.config.check import Run
from tcmbench.config.stale import stale_runs, told

RUN = Run("cub", "resnet50", "smooth_ap", "tcm", 0)
WANTED = {
    "seed": 0,
    "view": {"crop_scale": [0.7, 1.0]},
    "optimization": {"epochs": 10, "chunk_size": "auto"},
    "loss": {"name": "smooth_ap", "params": {}},
    "regularizer": {"margin_positive": 0.9},
}
PATH = f"{RUN.folder}/run.json"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a record below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / RUN.folder).mkdir(parents=True)

    def to(content):
        (tmp_path / PATH).write_text(json.dumps(content))
        return stale_runs({PATH: WANTED})

    return to


def changed(**optimization):
    return {"config": {**WANTED, "optimization": {**WANTED["optimization"], **optimization}}}


def test_a_run_that_is_not_there_is_not_stale(write):
    assert stale_runs({PATH: WANTED}) == {}


def test_defaults_that_the_record_alone_writes_out_do_not_count(write):
    more = {"compute": {"precision": "auto"}, "loss": {**WANTED["loss"], "class_path": None}}
    assert write({"config": {**WANTED, **more}}) == {}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (changed(epochs=20), "optimization.epochs was 20, now 10"),
        (changed(chunk_size=64), 'optimization.chunk_size was 64, now "auto"'),
        (
            {"config": {**WANTED, "regularizer": None}},
            "regularizer.margin_positive was not there, now 0.9",
        ),
        ({"config": {**WANTED, "seed": 1}}, "seed was 1, now 0"),
        ({"config": 3}, "it does not say of which"),
        ([], "it does not say of which"),
    ],
)
def test_the_difference_is_named(write, record, said):
    assert write(record) == {PATH: said}


def test_half_a_record_is_stale(write, tmp_path):
    write({"config": WANTED})
    (tmp_path / PATH).write_text('{"config": ')
    assert stale_runs({PATH: WANTED}) == {PATH: "it does not say of which"}


def test_many_are_one_sentence(write, tmp_path):
    write(changed(epochs=3))
    other = replace(RUN, seed=1)
    (tmp_path / other.folder).mkdir(parents=True)
    (tmp_path / other.folder / "run.json").write_text("{}")
    stale = stale_runs({PATH: WANTED, f"{other.folder}/run.json": {**WANTED, "seed": 1}})
    assert told(stale, "trained again") == (
        f"{PATH} is of another configuration (optimization.epochs was 3, now 10; so are 1 "
        "more), trained again"
    )
