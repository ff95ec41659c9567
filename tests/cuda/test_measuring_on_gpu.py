"""Embedding and metrics with tensors on a pretended GPU, against the processor's."""

import json

import numpy as np
import pytest
import torch

import evaluate as door
from tcmbench import metrics
from tcmbench.embedding import embed
from tcmbench.images.views import write_view
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.training.tiny_data import config, exit_code

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.fixture(scope="module")
def run(tiny_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(Settings.from_json(config(tiny_set, epochs=1)), folder, "cpu")
    return folder


@pytest.mark.parametrize("stored", [False, True], ids=["decoded", "stored view"])
def test_embedding_waits_once(rules, run, tiny_set, tmp_path, monkeypatch, stored):
    monkeypatch.setattr("tcmbench.embedding.BATCH", {"cpu": 16, "cuda": 16})
    manifest, view = tiny_set / "train.csv", None
    if stored:
        view = tmp_path / "view.npy"
        write_view(manifest, tiny_set, 36, 32, view)
    vectors = {}
    for device in (CPU, CUDA):
        out = tmp_path / f"{device.type}.npz"
        embed(run, manifest, tiny_set, out, device, view)
        vectors[device] = np.load(out)["embeddings"]
    assert np.allclose(vectors[CUDA], vectors[CPU], atol=1e-5)
    own = [line for line in rules.waits if "embedding.py embedded" in line]
    assert len(own) == 1
    assert len([line for line in rules.waits if "loading.py" in line]) <= 2  # mean and deviation


def rows(count=300, classes=40):
    generator = np.random.default_rng(5)
    labels = generator.integers(classes, size=count)
    centres = generator.normal(size=(classes, 24))
    rows = centres[labels] + 0.8 * generator.normal(size=(count, 24))
    return rows.astype(np.float32), labels


FAST = {"exact": False, "block_size": 64}
FUNCTIONS = {
    "opis": lambda *rows, **more: metrics.opis(*rows, **more).opis,
    "opis in one pass": lambda *rows, **more: metrics.opis(*rows, **FAST, **more).opis,
    "recall": lambda *rows, **more: metrics.recall_at_k(*rows, (1, 4), **more),
    "map": metrics.map_at_r,
    "rates": lambda *rows, **more: metrics.error_rates(*rows, np.linspace(0, 2, 9), **more).frr,
    "all": lambda *rows, **more: metrics.evaluate_all_pairs(*rows, **more).consistency.opis,
    "all in one pass": lambda *rows, **more: (
        metrics.evaluate_all_pairs(*rows, **FAST, **more).consistency.opis
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_metrics_are_the_processors(rules, name):
    host, gpu = (FUNCTIONS[name](*rows(), device=device) for device in ("cpu", "cuda"))
    if isinstance(host, dict):
        assert host == gpu
    else:
        assert np.asarray(gpu) == pytest.approx(np.asarray(host), rel=1e-6)
    assert rules.peak > 0


def test_labels_may_lie_on_either_device(rules):
    embeddings, labels = map(torch.from_numpy, rows())
    expected = metrics.map_at_r(embeddings, labels)
    for own in (labels, labels.to(CUDA)):
        assert metrics.map_at_r(embeddings.to(CUDA), own) == pytest.approx(expected)


def test_the_command(rules, tmp_path):
    embeddings, labels = rows()
    np.savez(tmp_path / "rows.npz", embeddings=embeddings, labels=labels)
    found = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device / "metrics.json"
        tables = [
            ("--curves", out.with_name("c.parquet")),
            ("--utility", out.with_name("u.parquet")),
        ]
        words = [word for pair in tables for word in pair]
        source = ("--embeddings", tmp_path / "rows.npz")
        assert exit_code(door, *source, "--out", out, "--device", device, *words) == 0
        found[device] = json.loads(out.read_text())
        assert found[device].pop("provenance")
    for name, value in found["cpu"].items():
        assert found["cuda"][name] == pytest.approx(value), name
