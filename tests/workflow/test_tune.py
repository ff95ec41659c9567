"""Margins chosen on folds of the training classes, by the real workflow."""

import re

import pandas as pd
import pytest
from PIL import Image

from tests.workflow.checkout import Checkout

# Of random weights no pretraining has to be waited for.
UNTRAINED = "backbones: {test_resnet: {weights: none}}\n"
SMALL = """suites:
  tune_small:
    losses: [recall_at_k]
    validation: {folds: 2}
    sweep:
      - regularizer.margin_positive: [0.8, 0.9]
"""
OWN = """datasets:
  mine: {folder: ../photos}
suites:
  tune_own:
    scale: own
    datasets: [mine]
    backbones: [test_resnet]
    losses: [recall_at_k]
    validation: {folds: 2}
    sweep:
      - regularizer.margin_positive: [0.8, 0.9]
"""
QUICK = ("--config", "suite=quick", "regularizer=tuned")


@pytest.mark.parametrize("suite", ["tune", "tune_small"])
def test_no_job_reads_the_test_manifest(empty: Checkout, suite: str) -> None:
    done = empty.snakemake("-n", "--forceall", "--config", f"suite={suite}")
    assert done.returncode == 0, done.stderr
    inputs = re.findall(r"^    input: (.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert len(inputs) > 100
    assert any("validation.csv" in line for line in inputs)
    assert not [line for line in inputs if re.search(r"\btest\.csv", line)]


def test_ones_own_images_can_be_validated_on(empty: Checkout) -> None:
    photos = empty.folder.parent / "photos"
    for number in range(12):
        (photos / f"class {number:02}").mkdir(parents=True)
        for shade in range(4):
            picture = Image.new("RGB", (40, 40), (20 * number, 60 * shade, 0))
            picture.save(photos / f"class {number:02}/{shade}.png")
    (empty.folder / "own.yaml").write_text(OWN)
    options = ("--configfile", "own.yaml", "--config", "suite=tune_own", "device=cpu")
    planned = empty.planned(*options)
    # Two folds of two margins and a base run; the half of the test classes is not even listed.
    expected = {"check_photos": 1, "fold": 2, "train_recall_at_k": 6, "embed": 6, "margins": 1}
    assert expected.items() <= planned.items()


def test_margins_are_chosen_and_taken(empty: Checkout) -> None:
    (empty.folder / "small.yaml").write_text(UNTRAINED + SMALL)
    options = ("--cores", "2", "--configfile", "small.yaml", "--config", "suite=tune_small")
    done = empty.snakemake(*options, "--quiet", "rules")
    assert done.returncode == 0, done.stderr[-3000:]
    tables = empty.folder / "results/tables/tune_small"
    margins = pd.read_csv(tables / "margins.csv")
    assert list(margins["margin_positive"]) == [0.8, 0.9]
    assert list(margins["n"]) == [2, 2]
    assert margins["chosen"].sum() == 1
    runs = pd.read_csv(tables / "runs.csv")
    assert set(runs["dataset"]) == {"cub"}
    assert sorted(runs["fold"]) == [1, 1, 1, 2, 2, 2]
    assert "no image of the test split takes part" in (tables / "comparisons.md").read_text()
    page = (empty.folder / "results/index.html").read_text()
    assert "Margins, validated on training classes" in page
    # What was chosen is a run of its own, unless it is the default; the rest of the suite lacks it.
    refused = empty.snakemake("-n", *QUICK)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "no margins have been chosen for cub, test_resnet, smooth_ap" in said
    one = "suites:\n  quick: {datasets: [cub], backbones: [test_resnet], losses: [recall_at_k]}\n"
    (empty.folder / "one.yaml").write_text(UNTRAINED + one)
    planned = empty.snakemake("-n", "-p", "--configfile", "one.yaml", *QUICK)
    assert planned.returncode == 0, planned.stderr
    best = margins["margin_positive"][margins["chosen"]].item()
    point = "" if best == 0.9 else "~regularizer.margin_positive=0.8"
    told = planned.stdout + planned.stderr
    assert f"results/runs/cub/test_resnet/recall_at_k{point}/tcm/seed0/model.safetensors" in told
    assert "--tuned results/tables/tune_small/margins.csv" in told
