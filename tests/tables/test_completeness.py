"""A part of a suite is called one, in the table and by the claims; CSV files stay as they are."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tcmbench.claims import write_claims
from tcmbench.tables.completeness import Whole, shortfall
from tcmbench.tables.write import write_tables
from tests.tables.run_folders import write_pair

CELLS = ("cub/resnet50/smooth_ap", "cub/vit_b16/smooth_ap", "sop/resnet50/recall_at_k")


@pytest.mark.parametrize(
    ("seeds", "whole", "words"),
    [
        ([1, 1, 1], None, ""),
        ([1, 1, 1], Whole(3, 1), ""),
        ([3, 1, 1], Whole(3, 1), ""),
        ([1, 1, 1], Whole(16, 1), "3 of 16 comparisons"),
        ([5, 3, 1], Whole(3, 5), "3 of 3 comparisons, 2 of them with fewer than 5 seeds"),
        ([1, 2], Whole(16, 2), "2 of 16 comparisons, 1 of them with fewer than 2 seeds"),
        ([], Whole(16, 1), "0 of 16 comparisons"),
    ],
)
def test_a_part_is_told_from_the_whole(seeds: list[int], whole: Whole | None, words: str) -> None:
    assert shortfall(seeds, whole) == words


def test_every_table_of_a_part_says_so(tmp_path: Path) -> None:
    folders = [folder for cell in CELLS for folder in write_pair(tmp_path, cell)]
    write_tables(folders, "paper", tmp_path / "whole")
    write_tables(folders, "paper", tmp_path / "part", whole=Whole(16, 1))
    for suffix in ("md", "tex", "html"):
        assert "3 of 16" not in (tmp_path / f"whole/comparisons.{suffix}").read_text()
        text = (tmp_path / f"part/comparisons.{suffix}").read_text()
        assert "Only a part of the suite: 3 of 16 comparisons." in text
    for name in ("runs.csv", "comparisons.csv"):
        whole, part = ((tmp_path / kind / name).read_bytes() for kind in ("whole", "part"))
        assert whole == part


def test_no_claim_is_judged_by_a_part(tmp_path: Path) -> None:
    datasets = ("cub", "cars196", "sop", "inat2018")
    folders = [
        folder
        for dataset in datasets
        for backbone in ("resnet50", "vit_b16")
        for loss in ("smooth_ap", "recall_at_k")
        for seed in (0, 1)
        for folder in write_pair(
            tmp_path / "runs",
            f"{dataset}/{backbone}/{loss}",
            seed,
            tcm={"opis": 0.001 + seed / 1e6},
        )
    ]
    write_tables(folders, "paper", tmp_path)
    verdicts = []
    for whole in (Whole(16, 2), Whole(16, 5), Whole(17, 2)):
        write_claims(tmp_path, tmp_path, whole=whole)
        entry = json.loads((tmp_path / "claims.json").read_text())[0]
        verdicts.append((entry["id"], entry["verdict"]))
    assert verdicts == [
        ("opis-falls", "reproduced"),
        ("opis-falls", "not run"),
        ("opis-falls", "not run"),
    ]
    assert entry["why"].startswith("only 16 of 17 comparisons of the suite")


def test_the_pareto_claims_are_not_judged_by_a_part(tmp_path: Path) -> None:
    folders = [folder for cell in CELLS for folder in write_pair(tmp_path / "runs", cell)]
    write_tables(folders, "pareto", tmp_path)
    runs = pd.read_csv(tmp_path / "runs.csv").assign(batch_size=64)
    runs.to_csv(tmp_path / "runs.csv", index=False)
    write_claims(tmp_path, tmp_path, tmp_path / "runs.csv", Whole(40, 1))
    last = json.loads((tmp_path / "claims.json").read_text())[-1]
    assert last["verdict"] == "not run"
    assert last["why"].startswith("only 3 of 40 comparisons of the suite")


def test_another_evaluation_is_read_from_its_folder(tmp_path: Path) -> None:
    folders = write_pair(tmp_path)
    for folder, opis in zip(folders, (0.008, 0.002), strict=True):
        (folder / "strict").mkdir()
        metrics = json.loads((folder / "metrics.json").read_text())
        strict = metrics | {"opis": opis, "far_range": [0.001, 0.01]}
        (folder / "strict/metrics.json").write_text(json.dumps(strict))
    write_tables(folders, "paper", tmp_path / "out")
    write_tables(folders, "paper", tmp_path / "out/strict", evaluation="strict")
    usual, other = (
        pd.read_csv(tmp_path / name / "comparisons.csv") for name in ("out", "out/strict")
    )
    assert list(usual.columns) == list(other.columns)
    assert usual.loc[0, "opis_delta"] == 0
    assert other.loc[0, "opis_delta"] == pytest.approx(-0.006)
    text = (tmp_path / "out/strict/comparisons.md").read_text()
    assert "Suite paper, evaluation strict, scale full" in text
    assert "false accept rate is 0.001 to 0.01" in text
