"""What an edit re-runs: its own consequences, and nothing else. Dry runs on a finished suite."""

import os

import pytest

from tests.workflow.checkout import QuickSuite

OF_DATASETS = ("utility", "deployer", "training", "neighbours")
FIGURES = {"figure_summary": 1, "figure_plane": 1} | {f"figure_{name}": 4 for name in OF_DATASETS}
REPORT = {"comparisons": 1, "claims": 1, **FIGURES, "page": 1}
MINIATURES = {f"miniature_{name}": 1 for name in ("cars196", "cub", "inat2018", "sop")}
DATA = {**MINIATURES, "download": 8, "prepare": 4}
TRAINED = {"train_smooth_ap": 16, "train_recall_at_k": 16}


def scored(runs: int) -> dict[str, int]:
    return {"embed": runs, "evaluate": runs, **REPORT}


def test_touching_files_reruns_nothing(quick: QuickSuite) -> None:
    folder = quick.checkout.folder
    for name in ("src", "workflow", "report", "envs"):
        for path in (folder / name).rglob("*"):
            if path.is_file():
                os.utime(path)
    os.utime(folder / "config.yaml")
    os.utime(folder / "Snakefile")
    assert quick.checkout.planned() == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("src/tcmbench/losses/smooth_ap.py", {"train_smooth_ap": 16, **scored(16)}),
        (
            "src/tcmbench/regularizers/tcm.py",
            {"train_smooth_ap": 8, "train_recall_at_k": 8, **scored(16)},
        ),
        (
            "src/tcmbench/training/sampling.py",
            TRAINED | scored(32),
        ),
        ("src/tcmbench/embedding.py", scored(32)),
        ("src/tcmbench/metrics/engine/rates.py", {"evaluate": 32, **REPORT}),
        ("src/evaluate.py", {"evaluate": 32, **REPORT}),
        ("src/tcmbench/plots/summary.py", {**FIGURES, "page": 1}),
        ("src/tcmbench/common/errors.py", {}),
        ("src/download.py", {}),
        ("README.md", {}),
        ("docs/results.md", {}),
    ],
)
def test_editing_a_file_reruns_what_depends_on_it(
    quick: QuickSuite, name: str, expected: dict[str, int]
) -> None:
    with quick.checkout.edited(name):
        assert quick.checkout.planned() == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "      temperature: 0.01",
            "      temperature: 0.02",
            {"train_smooth_ap": 16, **scored(16)},
        ),
        (
            "margin_positive: 0.9",
            "margin_positive: 0.8",
            {"train_smooth_ap": 8, "train_recall_at_k": 8, **scored(16)},
        ),
        ("epsilon: 0.1", "epsilon: 0.2", {"evaluate": 32, **REPORT}),
        ("miniature_seed: 0", "miniature_seed: 1", DATA | TRAINED | scored(32)),
        ("batch_size: 4000", "batch_size: 2000", {}),
    ],
)
def test_changing_a_key_reruns_what_it_decides(
    quick: QuickSuite, old: str, new: str, expected: dict[str, int]
) -> None:
    with quick.checkout.edited(
        "config.yaml", (f"{old} ", f"{new} ") if "4000" not in old else (old, new)
    ):
        assert quick.checkout.planned() == expected


def test_another_version_of_torch_reruns_what_it_decides(quick: QuickSuite) -> None:
    """Metrics are exact whatever computes them: they run again for their new embeddings alone."""
    trained = {"weights": 2, **TRAINED}
    with quick.checkout.edited("envs/train.yaml", ("- torch==", "- torch==0")):
        assert quick.checkout.planned() == {**trained, **scored(32)}


def test_training_never_reads_test_files(quick: QuickSuite) -> None:
    """No training lists a test manifest, an embedding or a score among its inputs."""
    done = quick.checkout.snakemake("-n", "--forcerun", "train_smooth_ap", "train_recall_at_k")
    blocks = (done.stdout + done.stderr).split("rule ")
    inputs = [
        next(line for line in block.splitlines() if line.strip().startswith("input:"))
        for block in blocks
        if block.startswith("train_")
    ]
    assert len(inputs) == 32
    for line in inputs:
        assert "train.csv" in line
        assert not any(name in line for name in ("test.csv", "embeddings", "metrics"))
