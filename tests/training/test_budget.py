"""GPU-hours by hand: steps x batch x epochs / rate, a second forward pass a third more."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import budget as door
from tcmbench.common.errors import UserError
from tcmbench.config.check import check
from tcmbench.images.manifests import Item, write_manifest
from tcmbench.training.budget import Rates, costs, given, measured, table
from tests.paths import ROOT
from tests.training.tiny_data import exit_code

DATASETS = ("cub", "cars196", "sop", "inat2018")
HEADER = "backbone,loss,way,batch_size,chunk_size,images_per_second,device\n"


def config(**plan: Any) -> Any:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["recipes"].append({"where": {"scale": "full"}, "set": plan or {"gamma": 0.3}})
    return check(raw, (*DATASETS, "mnist"), ("smooth_ap", "recall_at_k"))


def cells(rates: Rates, folder: Path, **plan: Any) -> dict[tuple[str, str, str], Any]:
    return {(c.dataset, c.backbone, c.loss): c for c in costs(config(**plan), rates, folder)}


RATES = given("resnet50=3000,vit_b16=1200")


def test_hours_by_hand(tmp_path: Path) -> None:
    found = cells(RATES, tmp_path)
    assert len(found) == 16
    # iNaturalist, 325,846 images, batches of 4,000 in two passes, 90 epochs:
    # 81 steps x 4,000 x 90 = 29,160,000 images, 4/3 of 1/3,000 s each: 12,960 s.
    large = found["inat2018", "resnet50", "recall_at_k"]
    assert (large.steps, large.exact, large.epochs, large.passes) == (81, False, 90, 2)
    assert large.hours == pytest.approx(3.6)
    assert large.total == pytest.approx(7.2)  # base and tcm
    # CUB, 5,864 images, batches of 384 in one pass, 40 epochs:
    # 15 x 384 x 40 = 230,400 images at 1,200 a second: 192 s.
    small = found["cub", "vit_b16", "smooth_ap"]
    assert (small.steps, small.exact, small.epochs, small.passes) == (15, False, 40, 1)
    assert small.hours == pytest.approx(192 / 3600)


@pytest.mark.parametrize(
    ("kept", "passes", "factor"), [(0, 2, 4 / 3), (5, 2, 7 / 6), (10, 1, 1.0), (99, 1, 1.0)]
)
def test_kept_chunks_are_embedded_once(
    tmp_path: Path, kept: int, passes: int, factor: float
) -> None:
    found = cells(RATES, tmp_path, chunk_size=400, kept_chunks=kept)
    cost = found["inat2018", "resnet50", "recall_at_k"]
    assert cost.passes == passes
    assert cost.hours == pytest.approx(29_160_000 / 3000 * factor / 3600)


def test_seeds_and_variants_are_counted(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["suites"]["paper"] |= {"seeds": [0, 1, 2], "datasets": ["cub"]}
    found = costs(check(raw, (*DATASETS, "mnist"), ("smooth_ap", "recall_at_k")), RATES, tmp_path)
    assert [cost.runs for cost in found] == [6] * 4
    assert found[0].total == pytest.approx(6 * found[0].hours)


def test_a_prepared_manifest_gives_the_true_number_of_steps(tmp_path: Path) -> None:
    # 100 classes of 60, 41 to 59 and so on: few enough classes that batches of 100 leave much over.
    sizes = np.r_[np.full(60, 60), np.arange(41, 60), np.full(21, 50)]
    items = [
        Item(f"{label}/{place}.jpg", label, "name")
        for label, size in enumerate(sizes)
        for place in range(size)
    ]
    folder = tmp_path / "results/data/full/cub"
    folder.mkdir(parents=True)
    write_manifest(folder / "train.csv", items)
    cost = cells(RATES, tmp_path)["cub", "resnet50", "recall_at_k"]
    # All 100 classes in every batch: as many as the smallest class has quadruples, 41 // 4.
    assert (cost.steps, cost.exact) == (10, True)
    assert cost.hours == pytest.approx(10 * 400 * 40 / 3000 / 3600)
    assert not cells(RATES, tmp_path)["sop", "resnet50", "recall_at_k"].exact


def test_measured_rates(tmp_path: Path) -> None:
    path = tmp_path / "steps_h200.csv"
    path.write_text(
        HEADER
        + "resnet50,smooth_ap,JPEGs from disk,384,400,3600,NVIDIA H200\n"
        + "resnet50,smooth_ap,JPEGs from disk,384,400,3000,NVIDIA H200\n"  # larger JPEGs
        + "resnet50,smooth_ap,on the device,384,400,100,NVIDIA H200\n"
        + "resnet50,recall_at_k,JPEGs from disk,4000,400,2500,NVIDIA H200\n"
        + "vit_b16,smooth_ap,JPEGs from disk,384,400,1200,NVIDIA H200\n"
    )
    rates = measured(path)
    assert rates.source == f"measured on NVIDIA H200: {path}"
    assert rates.values == {
        ("resnet50", 1): 3000.0,
        ("resnet50", 2): 2500.0,
        ("vit_b16", 1): 1200.0,
    }
    found = cells(rates, tmp_path)
    # Measured in two passes: no factor. Not measured so: a third more.
    resnet, vit = (found["inat2018", name, "recall_at_k"] for name in ("resnet50", "vit_b16"))
    assert resnet.hours == pytest.approx(29_160_000 / 2500 / 3600)
    assert vit.hours == pytest.approx(29_160_000 / 1200 * 4 / 3 / 3600)
    once = found["inat2018", "resnet50", "smooth_ap"]
    assert once.hours == pytest.approx(848 * 384 * 90 / 3000 / 3600)


@pytest.mark.parametrize(
    "content", ["", HEADER, "a,b\n1,2\n", HEADER + "r,l,JPEGs from disk,384,x,3000,H200\n"]
)
def test_another_table_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "steps.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"is no table of bench_step\.py"):
        measured(path)
    with pytest.raises(UserError, match="does not exist; measure it"):
        measured(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["", "resnet50", "resnet50=", "r=fast", "=3", "r=-1", "r=0"])
def test_rates_by_hand_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="is not NAME=IMAGES_PER_SECOND"):
        given(text)


def test_a_backbone_without_a_rate_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name no 'vit_b16' in one pass; measure it, or add"):
        costs(config(), given("resnet50=3000"), tmp_path)


def test_the_table_adds_up(tmp_path: Path) -> None:
    found = costs(config(), RATES, tmp_path)
    lines = table(found, "paper", RATES.source)
    assert "ASSUMED, not measured: resnet50 3,000, vit_b16 1,200" in lines[0]
    rows = [line.split() for line in lines[2:18]]
    assert sum(float(row[-1]) for row in rows) == pytest.approx(
        sum(cost.total for cost in found), abs=0.1
    )
    total = lines[18].split()
    assert total[:2] == ["total", "32"]
    # About the 55 hours on paper, which also count evaluations and start-up.
    assert float(total[2]) == pytest.approx(51.86)
    assert lines[22] == "inat2018      44.20 h, 85 %"
    assert len({line.index(line.split()[-1]) + len(line.split()[-1]) for line in lines[1:19]}) == 1


def test_the_command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    config_file = ["--config", ROOT / "config.yaml"]
    assert exit_code(door, *config_file) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: of measured rates (results/reference/steps_*.csv) there is none")
    folder = tmp_path / "results/reference"
    folder.mkdir(parents=True)
    rows = "{0},smooth_ap,JPEGs from disk,384,400,{1},NVIDIA H200\n"
    text = HEADER + rows.format("resnet50", 3000) + rows.format("vit_b16", 1200)
    (folder / "steps_h200.csv").write_text(text)
    assert exit_code(door, *config_file) == 0
    printed = capsys.readouterr().out
    assert "measured on NVIDIA H200: results/reference/steps_h200.csv" in printed
    assert "51.86" in printed
    (folder / "steps_h100.csv").write_text(text)
    assert exit_code(door, *config_file) == 2
    assert "there is several (results/reference/steps_h100.csv, " in capsys.readouterr().err
    assert exit_code(door, *config_file, "--rates", folder / "steps_h100.csv") == 0
    tiny = ["--suite", "quick", "--rates", "test_resnet=100,test_vit=100"]
    assert exit_code(door, *config_file, *tiny) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "error: results/data/miniature/cub/train.csv is not there and says how large the miniature "
        "is; make it with `snakemake data`"
    )
    assert exit_code(door, "--config", "none.yaml", "--rates", "a=1") == 2
    assert "none.yaml cannot be read" in capsys.readouterr().err
