"""The quick suite cut down to one comparison, and what has to be in it whatever was killed."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.checkout import Checkout

RUN = "results/runs/cub/test_resnet/smooth_ap/tcm/seed0"
EMBEDDINGS = [RUN.replace("tcm", variant) + "/embeddings.npz" for variant in ("base", "tcm")]
MINIATURE = "{scale: miniature}\n    set:\n      batch_size: 64\n      "
# One dataset, network and loss, a few steps, and a checkpoint after each of them.
CUT = (
    (
        "datasets: [cub, cars196, sop, inat2018]\n    backbones: [test_resnet, test_vit]",
        "datasets: [cub]\n    backbones: [test_resnet]\n    losses: [smooth_ap]",
    ),
    (
        f"{MINIATURE}epochs: 10\n      milestones: [7]",
        f"{MINIATURE}epochs: 2\n      milestones: [1]",
    ),
    ("checkpoint_minutes: 10", "checkpoint_minutes: 0.0001"),
)
# What is made by one process alone and has the same bytes wherever and whenever that is.
FIXED = (
    "results/data/miniature/cub/*.csv",
    "results/data/miniature/cub/archives/*.tgz",
    "results/data/miniature/cub/images/**/*.jpg",
    "results/weights/test_resnet.safetensors",
    "results/runs/cub/test_resnet/smooth_ap/*/seed0/*.safetensors",
    "results/runs/cub/test_resnet/smooth_ap/*/seed0/*.npz",
    "results/runs/cub/test_resnet/smooth_ap/*/seed0/*.parquet",
    "results/runs/cub/test_resnet/smooth_ap/*/seed0/metrics.json",
    "results/tables/quick/comparisons.*",
)


@dataclass(frozen=True)
class Suite:
    """A checkout with the cut suite, finished once without disturbance, and what that came to."""

    checkout: Checkout
    undisturbed: dict[str, str]

    @classmethod
    def finished(cls, checkout: Checkout) -> "Suite":
        """Cut the quick suite of a checkout and run it to its tables."""
        file = checkout.folder / "config.yaml"
        text = file.read_text()
        for old, new in CUT:
            assert text.count(old) == 1 or new in text, old
            text = text.replace(old, new)
        file.write_text(text)
        done = plain(checkout)
        assert done.returncode == 0, done.stderr[-3000:]
        found = content(checkout.folder)
        assert sum(name.endswith("metrics.json") for name in found) == 2
        return cls(checkout, found)

    def half_files(self) -> list[str]:
        """Name the files that are there under their final names and not as they should be."""
        now = content(self.checkout.folder)
        wrong = [name for name in now if now[name] != self.undisturbed.get(name)]
        records = (self.checkout.folder / "results").rglob("*.json")
        return wrong + [str(path) for path in records if not _is_json(path)]

    def differences(self) -> list[str]:
        """Name the files that differ from those of the undisturbed run, and what was left."""
        now = content(self.checkout.folder)
        names = sorted(self.undisturbed.keys() | now.keys())
        left = (self.checkout.folder / "results").rglob(".*.part*")
        return [name for name in names if now.get(name) != self.undisturbed.get(name)] + [
            str(path) for path in left
        ]


def plain(checkout: Checkout, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite as one does, to its tables, and to the embeddings.

    Snakemake removes those of a job that was killed, and makes them again for nobody who asks for
    tables alone, where all that was measured on them is there.
    """
    return checkout.snakemake("--cores", "2", *(options or ["tables", *EMBEDDINGS]))


def content(folder: Path) -> dict[str, str]:
    """Return the hash of each file of `FIXED`, measures without their provenance."""
    return {
        path.relative_to(folder).as_posix(): found
        for pattern in FIXED
        for path in folder.glob(pattern)
        if "benchmark" not in path.name and path.suffix != ".log" and (found := _hash(path))
    }


def _hash(path: Path) -> str | None:
    try:
        bytes_ = path.read_bytes()
    except FileNotFoundError:  # a process that still lives has just removed it
        return None
    if path.name == "metrics.json":
        measures = json.loads(bytes_)
        del measures["provenance"]
        bytes_ = json.dumps(measures, sort_keys=True).encode()
    return hashlib.sha256(bytes_).hexdigest()


def _is_json(path: Path) -> bool:
    if path.name.startswith("."):
        return True
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
