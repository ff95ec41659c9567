"""The benchmark of a step compares what it says, and runs."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.losses.references import recall_at_k, smooth_ap, unit_rows

FOLDER = Path(__file__).parent


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import plain_step

    return plain_step


@pytest.mark.parametrize("size", [2, 4])
def test_plain_losses_are_the_published_ones(plain, size):
    rows = unit_rows(8).requires_grad_()
    labels = (torch.arange(8) // size).tolist()
    for name, reference in (("smooth_ap", smooth_ap), ("recall_at_k", recall_at_k)):
        found = plain.LOSSES[name](rows, size)
        expected = reference(rows @ rows.T, labels)
        assert found.item() == pytest.approx(expected.item(), abs=1e-9)
        gradients = [torch.autograd.grad(loss, rows)[0] for loss in (found, expected)]
        assert torch.allclose(*gradients, rtol=0, atol=1e-7)


def test_the_whole_of_it_at_a_tiny_size(tmp_path):
    words = [
        "--device",
        "cpu",
        "--backbone",
        "test_resnet",
        "--loss",
        "recall_at_k",
        "--size",
        "500x375",
        "--images",
        "32",
        "--workers",
        "0",
        "--batch",
        "16",
        "--chunk",
        "8",
        "--rounds",
        "1",
        "--steps",
        "1",
        "--csv",
    ]
    file = tmp_path / "steps.csv"
    done = subprocess.run(
        [sys.executable, FOLDER / "bench_step.py", *words, file],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TCM's share of a step on the device: " in done.stdout
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["way"] for row in rows] == [
        "JPEGs from disk",
        "on the device",
        "on the device, without TCM",
        "plain float32, without TCM",
    ]
    for row in rows:
        rate = 16 / float(row["seconds"])
        assert float(row["images_per_second"]) == pytest.approx(rate, abs=0.06)
        assert (row["device"], row["precision"], row["chunk_size"]) == ("cpu", "float32", "8")
