"""A pass that several processes share has the numbers of one, to the last bit."""

import json

import numpy as np
import pytest
import torch

from tcmbench.common import devices
from tcmbench.common.devices import named_devices
from tcmbench.common.errors import UserError
from tcmbench.metrics import error_rates, evaluate_all_pairs
from tcmbench.metrics.engine import counting
from tcmbench.metrics.engine.shares import Share
from tests.metrics.references import clustered
from tests.metrics.test_evaluate import run

KS = (1, 4, 10)


@pytest.fixture(scope="module")
def embedded():
    embeddings, labels = clustered(5, 2600, 24, 90, spread=0.7)
    labels[-100:] = 1000 + np.arange(100)
    return embeddings, labels


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_two_processes_measure_what_one_does(embedded, engine, monkeypatch):
    monkeypatch.setattr(counting, "_engine", lambda rows: engine)
    told = []
    alone = evaluate_all_pairs(*embedded, KS, exact=False)
    both = evaluate_all_pairs(
        *embedded, KS, exact=False, devices=("cpu", "cpu"), report=told.append
    )
    assert alone.one_pass
    assert both.one_pass
    assert both.recall == alone.recall
    for name in ("opis", "epsilon_opis", "d_min", "d_max"):
        assert getattr(both.consistency, name) == getattr(alone.consistency, name)
    for name in ("utility", "sensitivity", "specificity"):
        here, there = (getattr(found.consistency, name) for found in (alone, both))
        assert np.array_equal(here, there)
    # Those of the other process as well.
    assert sum(told) == 2600 * 2599 // 2


def test_curves_of_two_processes_are_those_of_one(embedded):
    thresholds = np.linspace(0, 2, 11)
    alone = error_rates(*embedded, thresholds)
    both = error_rates(*embedded, thresholds, devices=("cpu", "cpu"))
    for name in ("far", "frr", "class_far", "class_frr"):
        assert np.array_equal(getattr(alone, name), getattr(both, name))


def test_shares_are_all_of_it_once():
    parts = [list(Share(index, 3).of(range(10))) for index in range(3)]
    assert parts == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_the_command_writes_the_same_numbers(embedded, tmp_path):
    np.savez(tmp_path / "e.npz", embeddings=embedded[0], labels=embedded[1])
    found = []
    for name, more in (("one", ()), ("two", ("--devices", "cpu,cpu"))):
        out = tmp_path / f"{name}.json"
        files = ("--utility", tmp_path / f"{name}.u", "--curves", tmp_path / f"{name}.c")
        run("--embeddings", tmp_path / "e.npz", "--out", out, *files, *more)
        values = json.loads(out.read_text())
        values.pop("provenance")
        found.append(values)
    assert found[0] == found[1]
    for kind in "uc":
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("gpu", "names no devices"),
        ("cpu,cuda:0", "of several kinds"),
        ("cuda:0,cuda:2", "2 are visible, from cuda:0 on"),
        ("cuda,cuda:1", "2 are visible, from cuda:0 on"),
    ],
)
def test_devices_that_cannot_share(names, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=sentence):
        named_devices(names)


def test_named_gpus_are_taken_as_named(monkeypatch):
    current = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices.torch.cuda, "set_device", current.append)
    assert named_devices("cuda:1, cuda:0") == ["cuda:1", "cuda:0"]
    assert current == [torch.device("cuda", 1)]
