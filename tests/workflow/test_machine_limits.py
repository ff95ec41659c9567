"""One training for each GPU, and one sentence where the machine cannot run the suite."""

import stat
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout, QuickSuite

# Stands in for training: notes when it ran, and writes what is declared.
STUB = """
import argparse, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--config", "--out", "--device"):
    parser.add_argument(name)
parser.add_argument("--resume", action="store_true")
arguments, _ = parser.parse_known_args()
assert arguments.device == "cuda"
began = time.time()
time.sleep(0.7)
for name in ("model.safetensors", "run.json"):
    (Path(arguments.out) / name).write_text("stub")
with open("ran.txt", "a") as stream:
    stream.write(f"{began} {time.time()}\\n")
"""


def fake_gpus(folder: Path, count: int) -> str:
    """A folder with an `nvidia-smi` that lists so many GPUs."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    lines = "\n".join(f"echo 'GPU {index}: toy (UUID: GPU-{index})'" for index in range(count))
    tool.write_text(f"#!/bin/sh\n{lines}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def most_at_once(checkout: Checkout) -> int:
    spans = [
        tuple(map(float, line.split()))
        for line in (checkout.folder / "ran.txt").read_text().splitlines()
    ]
    assert len(spans) == 8
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.fixture
def stubbed(quick: QuickSuite, tmp_path: Path) -> Checkout:
    """The quick suite on one dataset, data and weights ready, training replaced by the stub."""
    checkout = quick.checkout.copy(tmp_path / "tcm-bench")
    (checkout.folder / "src/train.py").write_text(STUB)
    config = checkout.folder / "config.yaml"
    text = config.read_text()
    quick_part = text.index("  quick:\n")
    rest = text[quick_part:].replace("[cub, cars196, sop, inat2018]", "[cub]", 1)
    config.write_text(text[:quick_part] + rest)
    return checkout


@pytest.mark.parametrize(
    ("gpus", "options", "expected"),
    [(1, (), 1), (2, (), 2), (1, ("--resources", "gpu=3"), 3)],
)
def test_trainings_at_once_are_limited_by_gpus(
    stubbed: Checkout, tmp_path: Path, gpus: int, options: tuple[str, ...], expected: int
) -> None:
    done = stubbed.run(
        "snakemake",
        "models",
        "--cores",
        "8",
        *options,
        "--config",
        "suite=quick",
        "device=cuda",
        PATH=fake_gpus(tmp_path / "bin", gpus),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert most_at_once(stubbed) == expected


def test_paper_suite_without_gpu_is_refused_before_any_job(empty: Checkout) -> None:
    done = empty.run("snakemake", "--cores", "1", CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0
    assert "need a GPU and this machine has none" in done.stderr
    assert "--config device=cpu" in done.stderr
    assert not list((empty.folder / "results").rglob("*.log"))


def test_a_driver_older_than_torch_is_refused_before_any_job(
    empty: Checkout, tmp_path: Path
) -> None:
    folder = fake_gpus(tmp_path / "bin", 1)
    with Path(folder, "nvidia-smi").open("a") as tool:
        tool.write("echo '| Driver Version: 470.82.01   CUDA Version: 11.4 |'\n")
    done = empty.run("snakemake", "--cores", "1", PATH=folder)
    assert done.returncode != 0
    assert "driver 470.82.01 serves CUDA up to 11.4, and torch" in done.stderr
    assert "docs/paper-suite.md" in done.stderr
    assert not list((empty.folder / "results").rglob("*.log"))


def test_paper_suite_can_be_planned_without_gpu(empty: Checkout) -> None:
    done = empty.run("snakemake", "-n", "--quiet", "rules", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0
    assert "train_smooth_ap         16" in done.stdout + done.stderr
    assert "train_recall_at_k       16" in done.stdout + done.stderr
