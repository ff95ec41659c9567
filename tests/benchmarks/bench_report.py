"""Tables, claims, figures, page and report of the paper suite, from run folders of its shape.

python tests/benchmarks/bench_report.py [--scale 1] [--out FILE.csv]

The 32 run folders are written here, with curves drawn by chance: classes, thresholds, images and
dimensions are those of the datasets, so that time, memory and file sizes are those of the suite.
All images are one picture of noise, larger in a file than any photograph. Each command of the
workflow is run once, as the workflow runs it, then Snakemake's own report is made in both forms.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tcmbench import datasets
from tcmbench.config.check import Run, check, runs, train_config
from tcmbench.config.reading import read_config
from tcmbench.losses import available_losses
from tests.tables.run_folders import METRICS

# Runs a command and prints exit status, processor seconds and peak memory in KiB. A process of its
# own, since a child's peak begins with the memory of whoever started it.
WATCHER = """
import os, sys
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
REPORT = "report"
POINTS = 101
DIMENSIONS = 512
CONFIG = check(read_config(ROOT / "config.yaml"), datasets.names(), available_losses())
RUNS = runs(CONFIG, "paper")


@dataclass(frozen=True)
class Step:
    """One command: seconds, those of processors, peak memory, and the largest file it wrote."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_gb: float
    largest_mb: float


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="share of classes and images")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="CSV file for the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        steps = measure(Path(folder), arguments.scale)
    # What the suite's own jobs come to; Snakemake's report is asked for by hand.
    own = [step for step in steps if not step.name.startswith(REPORT)]
    total = Step(
        "all but reports",
        sum(step.seconds for step in own),
        sum(step.cpu_seconds for step in own),
        max(step.peak_gb for step in own),
        max(step.largest_mb for step in own),
    )
    rows = [
        {
            "step": step.name,
            "seconds": f"{step.seconds:.1f}",
            "cpu_seconds": f"{step.cpu_seconds:.1f}",
            "peak_gb": f"{step.peak_gb:.2f}",
            "largest_mb": f"{step.largest_mb:.2f}",
        }
        for step in (*steps, total)
    ]
    for row in rows:
        print("  ".join(f"{value:>20}" for value in row.values()))
    if arguments.out:
        with arguments.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def measure(work: Path, scale: float) -> list[Step]:
    """Write the runs into `work` and run each command on them."""
    for place, run in enumerate(RUNS):
        write_run(work, run, scale, np.random.default_rng(place))
    tables, figures = work / "results/tables/paper", work / "results/figures/paper"
    references = [
        "--paper",
        "report/paper_results.csv",
        "--published",
        "report/published_recall.csv",
    ]
    references = [str(ROOT / word) if "/" in word else word for word in references]
    folders = [str(work / run.folder) for run in RUNS]
    steps = [
        step(
            "tables", tables, "aggregate.py", "--suite", "paper", "--out", tables,
            *references, *folders,
        ),
        step("claims", tables, "claims.py", "--tables", tables, "--out", tables),
    ]  # fmt: skip
    for name in ("summary", "plane"):
        steps.append(step(name, figures, "figures.py", name, "--tables", tables, "--out", figures))
    for name in dict.fromkeys(run.dataset for run in RUNS):
        steps += figures_of(name, work, figures)
    page = work / "results/index.html"
    steps.append(
        step(
            "page", page, "page.py", "--suite", "paper", *references, "--figures", figures,
            "--captions", ROOT / "report", "--comparisons", tables / "comparisons.csv",
            "--out", page, *folders,
        )
    )  # fmt: skip
    return [*steps, *reports(work, tables)]


def reports(work: Path, tables: Path) -> list[Step]:
    """Make Snakemake's report of what is there, as a page and as an archive of pages."""
    style = ROOT / "report" / "report.css"
    shutil.copy(ROOT / "config.yaml", work)
    deviations = ["-m", "docutils", "--writer=html5", f"--stylesheet={style}"]
    texts = [ROOT / "report" / "deviations.rst", tables / "deviations.html"]
    subprocess.run([sys.executable, *deviations, *texts], check=True)
    return [
        step(
            f"{REPORT} {suffix}", work / f"{REPORT}.{suffix}", "-m", "snakemake",
            "--snakefile", ROOT / "Snakefile", "--directory", work, "--cores", 1,
            "--report", work / f"{REPORT}.{suffix}", "--report-stylesheet", style,
            "--quiet", "all", "--config", "suite=paper", "device=cpu", "check_disk=False",
        )
        for suffix in ("html", "zip")
    ]  # fmt: skip


def figures_of(dataset: str, work: Path, figures: Path) -> list[Step]:
    """Run the commands of a dataset's figures."""
    own = [run for run in RUNS if run.dataset == dataset]
    folders = [str(work / run.folder) for run in own]
    steps = [
        step(
            f"{kind} {dataset}", figures, "figures.py", kind, "--dataset", dataset, "--out",
            figures, *folders,
        )
        for kind in ("utility", "deployer", "training")
    ]  # fmt: skip
    pair = [folder for run, folder in zip(own, folders, strict=True) if run.loss == own[0].loss]
    images = ["--images", work, "--out", figures]
    return [
        *steps,
        step(f"neighbours {dataset}", figures, "figures.py", "neighbours", *images, *pair[:2]),
    ]


def step(name: str, out: Path, script: str, *words: object) -> Step:
    """Run one command of src/, or a module, and measure it."""
    began = time.time()
    first = script if script == "-m" else ROOT / "src" / script
    command = [sys.executable, "-c", WATCHER, sys.executable, first, *words]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    seconds = time.time() - began
    status, cpu_seconds, peak_kib = done.stdout.split()
    if int(status):
        raise SystemExit(f"{name} failed")
    files = [out] if out.is_file() else list(out.iterdir())
    new = [path.stat() for path in files if path.stat().st_mtime > began - 0.01]
    largest = max(stat.st_size for stat in new) / 1e6
    found = Step(name, seconds, float(cpu_seconds), float(peak_kib) * 1024 / 1e9, largest)
    print(found, file=sys.stderr, flush=True)
    return found


def write_run(work: Path, run: Run, scale: float, random: np.random.Generator) -> None:
    """Write a run folder as training, embedding and evaluation leave it."""
    folder = work / run.folder
    folder.mkdir(parents=True)
    counts = datasets.load(run.dataset).counts
    classes, images = (round(n * scale) for n in (counts.test_classes, counts.test_images))
    # The same in all runs on a dataset.
    share = np.full(classes, 1 / classes)
    sizes = 2 + np.random.default_rng(classes).multinomial(images - 2 * classes, share)
    config = train_config(CONFIG | {"suite": "paper"}, run)
    epochs = config["optimization"]["epochs"]
    curve = [{"total": 2.0 / (n + 1), "images": images, "seconds": 1.0} for n in range(epochs)]
    record = {"config": config, "epochs": curve, "images_per_second": 1000.0}
    (folder / "run.json").write_text(json.dumps(record))
    measured = {"opis": random.uniform(1e-3, 9e-3), "recall_at_1": random.uniform(0.3, 0.9)}
    shape = {"num_images": images, "num_classes": classes}
    (folder / "metrics.json").write_text(json.dumps(METRICS | measured | shape))
    ends = METRICS["d_min"], METRICS["d_max"]
    for name, span in (("utility", ends), ("curves", (0.0, 2.0))):
        write_curves(folder / f"{name}.parquet", np.linspace(*span, POINTS), classes, random)
    labels = np.repeat(np.arange(classes), sizes)
    own = {"num_images": sizes, "recall_at_1": random.binomial(sizes, 0.7) / sizes}
    pq.write_table(pa.table({"class": np.arange(classes), **own}), folder / "classes.parquet")
    if (run.backbone, run.loss) == (RUNS[0].backbone, RUNS[0].loss):
        write_embeddings(folder / "embeddings.npz", labels, random)
        noise = random.integers(256, size=(375, 500, 3), dtype=np.uint8)
        Image.fromarray(noise).save(work / "image.jpg")


def write_curves(
    path: Path, thresholds: np.ndarray, classes: int, random: np.random.Generator
) -> None:
    """Write curves in the form of `tcmbench.metrics.io.written`, an optimum a class."""
    middle = random.normal(0.95, 0.06, (classes, 1))
    width = random.uniform(0.02, 0.08, (2, classes, 1))
    sensitivity = 1 / (1 + np.exp((middle - 0.05 - thresholds) / width[0]))
    specificity = 1 / (1 + np.exp((thresholds - middle - 0.05) / width[1]))
    rates = {"sensitivity": sensitivity, "specificity": specificity}
    utility = 2 * sensitivity * specificity / (sensitivity + specificity)
    table = {
        "class": np.repeat(np.arange(classes), len(thresholds)),
        "threshold": np.tile(thresholds, classes),
        **{name: values.ravel() for name, values in {"utility": utility, **rates}.items()},
        "cosine": np.tile(1 - thresholds**2 / 2, classes),
    }
    pq.write_table(pa.table(table), path)


def write_embeddings(path: Path, labels: np.ndarray, random: np.random.Generator) -> None:
    """Write embeddings around a centre of each class; all show the same image."""
    rows = random.standard_normal((len(labels), DIMENSIONS), dtype=np.float32)
    rows += random.standard_normal((labels.max() + 1, DIMENSIONS), dtype=np.float32)[labels]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    paths = np.full(len(labels), "image.jpg", dtype="U70")
    np.savez(path, embeddings=rows, labels=labels.astype(np.int64), paths=paths)


if __name__ == "__main__":
    main()
