"""The benchmark of precisions measures what it says, and its table bears out the default."""

import csv
import sys
from pathlib import Path

import pytest
import torch

from tcmbench.models.network import EmbeddingModel, ModelSpec
from tcmbench.tables.notes import MOVED
from tcmbench.training.objective import Objective
from tcmbench.training.precision import AUTO
from tcmbench.training.settings import LossSpec
from tests.paths import ROOT

FOLDER = Path(__file__).parent
REFERENCE = ROOT / "results/reference"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "path", list(sys.path))
    import bench_precision

    return bench_precision


def test_errors_grow_with_what_is_rounded(bench):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    model = EmbeddingModel(ModelSpec("test_resnet", "gem", True, 16, True)).eval()
    case = bench.Case(
        *("test_resnet", "none", "smooth_ap", "base", 0),
        *(model, Objective(LossSpec("smooth_ap", {}), None), images, images[:8]),
        torch.arange(8) // 2,
    )
    rows = {row.way: row for row in bench.measured(case, bench.WAYS)}
    assert list(rows) == list(bench.WAYS)
    exact, back = rows["float32"], rows["tf32_backward"]
    assert back.similarity_max == exact.similarity_max < 1e-5
    assert exact.gradient_error < back.gradient_error < rows["tf32"].gradient_error
    assert 1e-5 < rows["tf32"].similarity_max < rows["bfloat16"].similarity_max
    assert 4 < rows["bfloat16"].similarity_rms / rows["float16"].similarity_rms < 16
    tail = rows["float16, float32 tail"]
    assert tail.similarity_rms not in (rows["float16"].similarity_rms, exact.similarity_rms)
    assert all(row.similarity_rms < row.similarity_max for row in rows.values())
    assert "forward" not in vars(model.backbone.layer4)


def test_cost_by_hand(bench):
    from precision_report import cost

    # An A100 multiplies TF32 8 times as fast as float32, and a backward pass is two forward ones.
    assert cost("tf32_backward", "A100", "one pass") == pytest.approx((1 + 2 / 8) / 3)
    assert cost("tf32_backward", "A100", "two passes") == pytest.approx((2 + 2 / 8) / 4)
    assert cost("float16", "A100", "one pass") == pytest.approx(1 / 16)
    assert cost("float32", "H100 SXM", "two passes") == 1


def test_the_reference_table_bears_out_the_default_and_the_footnote():
    (file,) = REFERENCE.glob("precision-cpu-*.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert {row["network"] for row in rows} == {"test_resnet", "test_vit", "resnet50", "vit_b16"}

    def most(way):
        return max(float(row["similarity_max"]) for row in rows if row["way"] == way)

    assert most(AUTO) < 1e-3
    # All that is cheaper moves similarities too far.
    cheaper = {row["way"] for row in rows} - {AUTO, "float32"}
    assert len(cheaper) == 4
    assert all(most(way) > 1e-3 for way in cheaper)
    assert {way: float(f"{most(way):.2g}") for way in MOVED} == MOVED
