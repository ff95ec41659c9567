"""`make quick`: 32 trainings on four miniatures, to the table, the figures and the report."""

import hashlib
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.workflow.checkout import QuickSuite, make_quick

RUN_FILES = (
    "model.safetensors",
    "run.json",
    "embeddings.npz",
    "metrics.json",
    "utility.parquet",
    "classes.parquet",
)
DATASETS = {"cub", "cars196", "sop", "inat2018"}


def run_folders(quick: QuickSuite) -> list[Path]:
    return sorted(quick.checkout.folder.glob("results/runs/*/*/*/*/seed*"))


def test_all_runs_leave_their_files(quick: QuickSuite) -> None:
    folders = run_folders(quick)
    assert len(folders) == 32
    for folder in folders:
        assert all((folder / name).is_file() for name in RUN_FILES), folder
        assert not (folder / "last.ckpt").exists()


def test_comparisons_hold_every_pair(quick: QuickSuite) -> None:
    table = pd.read_csv(quick.checkout.folder / "results/tables/quick/comparisons.csv")
    assert len(table) == 16
    assert set(table.dataset) == DATASETS
    assert table.groupby("dataset").size().eq(4).all()
    for metric in ("recall_at_1", "opis", "epsilon_opis"):
        change = table[f"{metric}_tcm"] - table[f"{metric}_base"]
        assert np.allclose(change, table[f"{metric}_delta"])


def test_models_learn(quick: QuickSuite) -> None:
    """R@1 is at least three times that of a random neighbour, in every row."""
    for folder in run_folders(quick):
        labels = np.load(folder / "embeddings.npz")["labels"]
        _, sizes = np.unique(labels, return_counts=True)
        chance = float((sizes * (sizes - 1)).sum() / (len(labels) * (len(labels) - 1)))
        found = json.loads((folder / "metrics.json").read_text())["recall_at_1"]
        assert found > 3 * chance, f"{folder}: R@1 {found:.3f}, chance {chance:.3f}"


def test_base_and_tcm_differ_in_the_regularizer_alone(quick: QuickSuite) -> None:
    for base in quick.checkout.folder.glob("results/runs/*/*/*/base/seed*"):
        records = [
            json.loads((folder / "run.json").read_text())
            for folder in (base, base.parents[1] / "tcm" / base.name)
        ]
        without, with_tcm = (record["config"] for record in records)
        assert without.pop("regularizer") is None
        assert with_tcm.pop("regularizer") is not None
        assert (without.pop("variant"), with_tcm.pop("variant")) == ("base", "tcm")
        assert without == with_tcm
        for key in ("data", "initial_weights_sha256"):
            assert records[0][key] == records[1][key]


def test_provenance_can_be_recomputed(quick: QuickSuite) -> None:
    folder = run_folders(quick)[0]
    record = json.loads((folder / "run.json").read_text())
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert record["weights_sha256"] == weights
    manifest = quick.checkout.folder / record["data"]["manifest"]
    assert record["data"]["sha256"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert record["git"] is None, "the copy is no git repository, which is recorded, not fatal"
    assert record["packages"]["torch"]
    assert len(record["loss_curve"]) == record["config"]["optimization"]["epochs"]


def test_progress_is_told(quick: QuickSuite) -> None:
    lines = [line for line in quick.output.splitlines() if line.startswith("[tcm-bench]")]
    assert any("7 of 32 runs trained" in line and "left" in line for line in lines)
    assert "32 of 32 runs trained" in lines[-1]
    for variant in ("base", "tcm"):
        run = f"cub · test_vit · recall_at_k · {variant} · seed 0"
        assert any(line.endswith(f"training {run}") for line in lines)
        assert any(re.search(rf"evaluated {run}: R@1 \d+\.\d %;", line) for line in lines)
    assert sum(" training " in line for line in lines) == 32
    assert sum(": R@1 " in line for line in lines) == 32


@pytest.mark.parametrize(
    "name",
    [
        "summary",
        "plane",
        *(
            f"{kind}_{name}"
            for kind in ("utility", "deployer", "training")
            for name in sorted(DATASETS)
        ),
        *(f"neighbours_{name}_test_resnet_smooth_ap" for name in sorted(DATASETS)),
    ],
)
def test_figures_are_drawn(quick: QuickSuite, name: str) -> None:
    folder = quick.checkout.folder / "results/figures/quick"
    for suffix in ("svg", "pdf", "png"):
        assert (folder / f"{name}.{suffix}").stat().st_size > 5000


def test_report_holds_table_curves_and_texts(quick: QuickSuite) -> None:
    report = (quick.checkout.folder / "results/report.html").read_text()
    for text in ("comparisons.html", "utility_cub_tcm.svg", "summary.svg", "deviations.html"):
        assert text in report
    assert "Calibration range" in report, "the methods text"


def test_page_holds_everything(quick: QuickSuite) -> None:
    file = quick.checkout.folder / "results/index.html"
    page = file.read_text()
    assert "All 32 runs are done." in page
    assert page.count('<details class="run"') == 32
    assert page.count("<figure id=") == 2 + 4 * 4
    assert file.stat().st_size < 3_000_000, "light enough to be sent"
    vectors = re.findall(r'href="(figures/quick/[^"]+\.svg)"', page)
    # Utility curves come in three looks.
    assert len(vectors) == 2 + 4 * 3 + 4 * 3
    assert all((file.parent / vector).is_file() for vector in vectors)


def test_memory_stays_below_six_gigabytes(quick: QuickSuite) -> None:
    """Two jobs run side by side: twice the largest resident set is the worst that can happen."""
    tables = quick.checkout.folder.glob("results/**/*.benchmark.tsv")
    peaks = pd.concat([pd.read_csv(path, sep="\t") for path in tables])
    largest = pd.to_numeric(peaks["max_rss"], errors="coerce").max()  # MB
    assert 2 * largest < 6000


def test_second_call_does_nothing(quick: QuickSuite, capsys: pytest.CaptureFixture[str]) -> None:
    results = quick.checkout.folder / "results"
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    started = time.monotonic()
    done = make_quick(quick.checkout)
    seconds = time.monotonic() - started
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    after = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    assert after == before
    with capsys.disabled():
        print(f"\nquick suite: {quick.seconds:.0f} s, second call: {seconds:.0f} s")
