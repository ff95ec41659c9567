"""The metrics, losses and regularizer stand on torch and NumPy alone, as `pip install .` gives."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tcmbench

ROOT = Path(tcmbench.__file__).resolve().parents[2]

PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {others}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from tcmbench.errors import UserError
from tcmbench.losses.recall_at_k import RecallAtK
from tcmbench.losses.smooth_ap import SmoothAP
from tcmbench.metrics import cosine_to_distance, evaluate_all_pairs, map_at_r, opis
from tcmbench.metrics import query_gallery_error_rates, query_gallery_recall, recall_at_k
from tcmbench.metrics.io.reading import read_embeddings
from tcmbench.metrics.class_recall import class_recall
from tcmbench.regularizers.tcm import TCM

rows = np.random.default_rng(0).standard_normal((40, 8))
labels = np.repeat(np.arange(10), 4)
assert 0 <= opis(rows, labels).opis
try: opis(rows, labels[1:])
except UserError: pass
else: raise AssertionError("accepted")
assert recall_at_k(rows, labels)[1] <= 1 and map_at_r(rows, labels) <= 1
assert evaluate_all_pairs(rows, labels).recall == recall_at_k(rows, labels)
sets = (rows[:9], labels[:9], rows[9:], labels[9:])
assert query_gallery_recall(*sets)[1] <= 1
assert query_gallery_error_rates(*sets, [cosine_to_distance(0.5)]).far <= 1
assert class_recall(rows, labels).recall_at_1.mean() == recall_at_k(rows, labels)[1]
for face, package in (("modular", "torchmetrics"), ("pml", "pytorch-metric-learning")):
    try:
        __import__("tcmbench.metrics." + face)
    except ImportError as error:
        assert "pip install " + package in str(error)
    else:
        raise AssertionError(face + " came without its package")
unit = torch.nn.functional.normalize(torch.from_numpy(rows).float())
for loss in (SmoothAP(), RecallAtK(), TCM()):
    assert torch.isfinite(loss(unit, torch.from_numpy(labels)))
"""

OTHERS = (
    "timm",
    "torchvision",
    "PIL",
    "pandas",
    "pyarrow",
    "matplotlib",
    "scipy",
    "sklearn",
    "snakemake",
    "faiss",
    "pytorch_metric_learning",
    "torchmetrics",
    "numba",
    "safetensors",
    "yaml",
    "jsonschema",
)


def run_bare(folder: Path) -> None:
    program = PROGRAM.format(others=set(OTHERS))
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr


def test_library_needs_torch_and_numpy_alone() -> None:
    run_bare(ROOT / "src")


@pytest.mark.workflow
def test_wheel_holds_the_library_and_works(tmp_path: Path) -> None:
    """Built as `pip install .` builds it; marked slow, since it fetches the build backend."""
    command = ["pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    # The environment itself has no pip; the interpreter that made it does.
    python = Path(sys.base_prefix) / "bin/python3"
    subprocess.run([python, "-m", *command], check=True)
    (wheel,) = tmp_path.glob("tcm_bench-*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert (unpacked / "tcmbench/py.typed").is_file()
    run_bare(unpacked)
    check_command(wheel, tmp_path / "env", python)


def check_command(wheel: Path, folder: Path, python: Path) -> None:
    """Install the wheel and call the command that it puts on the PATH, from elsewhere."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    mine = folder / "bin/python"
    pip = [python, "-m", "pip", "--python", mine, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True)
    # The other packages are those of the environment that runs the tests.
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"])
    rows = np.random.default_rng(0).normal(size=(60, 8))
    np.savez(folder / "e.npz", embeddings=rows, labels=np.repeat(list("abcdefghijkl"), 5))
    for words, said in (
        (["--help"], "commands:"),
        (["evaluate", "--embeddings", "e.npz", "--out", "m.json"], "OPIS"),
        (["threshold", "--embeddings", "e.npz", "--far", "0.05"], "accept if distance <="),
        (["compare", "e.npz", "e.npz"], "does not differ"),
    ):
        done = subprocess.run(
            [folder / "bin/tcmbench", *words], capture_output=True, text=True, cwd=folder
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert said in done.stdout
    shown = subprocess.run(
        [mine, "-c", "import tcmbench; print(tcmbench.__file__)"], capture_output=True, text=True
    ).stdout
    assert shown.startswith(str(site)), "the installed package is the one that ran"
