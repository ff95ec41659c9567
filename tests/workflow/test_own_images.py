"""Images of one's own through the real workflow: scans of digits as folders of pictures."""

import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.workflow.checkout import Checkout, fresh_checkout

NAMES = ["null", "eins", "zwei 🦢", "три", "四", "five (5)", "sechs'", "sieben"]
TRAINED, TESTED = ["eins", "five (5)", "null", "sechs'"], ["sieben", "zwei 🦢", "три", "四"]
# Random start weights spare the minute in which the suite would pretrain them.
CONFIG = """
datasets:
  my_digits: {folder: "../my photos", title: "Мои цифры 🔢"}
suites:
  mine: {scale: own, datasets: [my_digits], backbones: [test_resnet], losses: [recall_at_k]}
backbones:
  test_resnet: {weights: none}
"""
ARGUMENTS = ("--configfile", "mine.yaml", "--config", "suite=mine", "device=cpu")
OF_DATASET = ("utility", "deployer", "training", "neighbours")
FIGURES = {f"figure_{name}": 1 for name in (*OF_DATASET, "summary", "plane")}
SCORED = {"embed": 2, "evaluate": 2, "comparisons": 1, "claims": 1, **FIGURES, "page": 1}
DATA = "results/data/own/my_digits"


def write_scans(folder: Path, pictures: int) -> None:
    """Write the first scans of each digit, half of them a level deeper, enlarged."""
    digits = load_digits()
    for digit, name in enumerate(NAMES):
        for number, scan in enumerate(digits.images[digits.target == digit][:pictures]):
            path = folder / name / ("2024/im Urlaub" if number % 2 else ".") / f"{number} ü.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (scan * 15).astype(np.uint8)
            Image.fromarray(pixels).resize((40, 36)).save(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The suite of one's own, run once to its page."""
    folder = tmp_path_factory.mktemp("own")
    write_scans(folder / "my photos", 12)
    before = state(folder / "my photos")
    checkout = fresh_checkout(folder / "tcm-bench")
    (checkout.folder / "mine.yaml").write_text(CONFIG)
    ran = checkout.snakemake("--cores", "1", *ARGUMENTS)
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert state(folder / "my photos") == before
    return checkout


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def photos(checkout: Checkout) -> Path:
    return checkout.folder.parent / "my photos"


def test_all_that_the_paper_suite_makes(done: Checkout) -> None:
    halves = []
    for half in ("train", "test"):
        with (done.folder / DATA / f"{half}.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 48
        assert all((photos(done) / row["path"]).is_file() for row in rows)
        halves.append(sorted({row["class_name"] for row in rows}))
    assert halves == [sorted(TRAINED), sorted(TESTED)]
    # The pictures are where they were, and nowhere else.
    assert not list((done.folder / "results/data").rglob("*.png"))

    tables = done.folder / "results/tables/mine"
    (row,) = pd.read_csv(tables / "comparisons.csv").to_dict("records")
    assert (row["dataset"], row["scale"], row["n_seeds"]) == ("my_digits", "own", 1)
    notes = (tables / "comparisons.md").read_text()
    # 4 classes of 12: 3 batches of 4 x 4 an epoch, so that 100 steps and more take 34 epochs.
    assert "102 steps of 16 images (4 classes, 4 images each) in 34 epochs" in notes
    assert "50 % of the classes are trained on, the first by name" in notes
    figures = {path.stem for path in (done.folder / "results/figures/mine").glob("*.svg")}
    drawn = {"summary", "plane", "neighbours_my_digits_test_resnet_recall_at_k"}
    drawn |= {f"{name}_my_digits" for name in ("deployer", "training", "utility")}
    assert figures == drawn | {"utility_my_digits_base", "utility_my_digits_tcm"}
    page = (done.folder / "results/index.html").read_text()
    assert "102 steps of 16 images" in page
    assert "these are images of one&#39;s own" in page


def test_nothing_is_made_twice(done: Checkout) -> None:
    for path in photos(done).rglob("*"):
        os.utime(path)
    (photos(done) / "eins/notes.txt").write_text("no picture")
    assert done.planned(*ARGUMENTS) == {}


def test_a_picture_re_runs_what_depends_on_it(done: Checkout, tmp_path: Path) -> None:
    of_test, of_train = photos(done) / TESTED[0] / "0 ü.png", photos(done) / TRAINED[0]
    whole = of_test.read_bytes()
    Image.open(of_test).rotate(90).save(of_test)
    assert done.planned(*ARGUMENTS) == {"check_photos": 1, **SCORED}
    of_test.write_bytes(whole)
    added = of_train / "new 📷.png"
    added.write_bytes(whole)
    assert done.planned(*ARGUMENTS) == {"check_photos": 1, "train_recall_at_k": 2, **SCORED}
    added.unlink()


def test_mistakes_are_told_in_one_sentence(done: Checkout, tmp_path: Path) -> None:
    bad = [photos(done) / TESTED[0] / "bad.jpg", photos(done) / TRAINED[0] / "bad.jpg"]
    for path in bad:
        path.write_bytes(b"no picture")
    copy = done.copy(tmp_path / "copy")
    (tmp_path / "my photos").symlink_to(photos(done))
    ran = copy.snakemake("--cores", "1", *ARGUMENTS)
    assert ran.returncode != 0
    log = next(
        path for path in (copy.folder / DATA / "logs").glob("*.log") if "bad" in path.read_text()
    )
    (line,) = log.read_text().splitlines()
    assert line.startswith("error: 2 pictures of ../my photos cannot be decoded: ")
    assert all(f"{path.parent.name}/bad.jpg" in line for path in bad)
    for path in bad:
        path.unlink()

    text = (copy.folder / "mine.yaml").read_text()
    (copy.folder / "mine.yaml").write_text(text.replace("../my photos", "../my photos/eins"))
    ran = copy.snakemake("-n", *ARGUMENTS)
    assert ran.returncode != 0
    told = ran.stdout + ran.stderr
    assert "eins, in no class; move them into the folder of one, or give a table" in told
    assert "Traceback" not in told
