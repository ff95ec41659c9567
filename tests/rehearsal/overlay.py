"""A copy of the checkout, whose mirrors are on this machine and whose trainings take a few steps.

The code of the copy is the checkout's. What differs is data: the table of mirrors, the counts of a
share of the images, and a configuration laid over config.yaml by Snakemake's own --configfile.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tcmbench import datasets
from tcmbench.datasets.base import Counts
from tests.paths import ROOT
from tests.rehearsal.published import NAMES, digest, publish, publish_weights
from tests.workflow.checkout import Checkout, fresh_checkout

MIRRORS = "src/tcmbench/datasets/mirrors.toml"
OVERLAY = "rehearsal.yaml"
CROP = 32
# Classes of a batch, of which an epoch is to have two.
CLASSES = 4


def rehearsal(
    folder: Path, published: Path, url: str, share: float, suite: dict[str, list[str]]
) -> Checkout:
    """Publish what the paper suite needs, and return a copy of the checkout that fetches it there.

    Args:
        folder: where the copy goes.
        published: where the archives and weights go; what is there already is used.
        url: where that folder will be served.
        share: share of the published classes and images.
        suite: what takes the place of the paper suite's datasets, backbones and losses.
    """
    checkout = fresh_checkout(folder)
    known = published / "known.json"
    entries: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
    for name in NAMES:
        if name not in entries:
            train, counts = publish(name, published / name, share)
            entries[name] = {"train": list(train.values()), "counts": vars(counts)}
            known.write_text(json.dumps(entries))
        _expect(checkout, name, Counts(**entries[name]["counts"]), share)
    _redirect(checkout, published, url)
    sizes = {name: entries[name]["train"] for name in NAMES}
    overlay = configuration(published, sizes, suite)
    (checkout.folder / OVERLAY).write_text(yaml.safe_dump(overlay, sort_keys=False))
    return checkout


def _expect(checkout: Checkout, name: str, counts: Counts, share: float) -> None:
    """Write the counts of a share of the images into the copy; the whole has the published ones."""
    if share == 1:
        assert counts == datasets.load(name).counts
        return
    path = checkout.folder / f"src/tcmbench/datasets/{name}.py"
    found = re.sub(r"(?s)counts=Counts\(.*?\)", f"counts={counts!r}", path.read_text())
    path.write_text(found)


def _redirect(checkout: Checkout, published: Path, url: str) -> None:
    """Replace addresses, sizes and hashes in the copy's table of mirrors; no hash stays no hash."""
    path = checkout.folder / MIRRORS
    lines = []
    for dataset, archives in tomllib.loads(path.read_text()).items():
        for name, entry in archives.items():
            file = published / dataset / name
            if file.exists():
                entry = entry | {"mirrors": [f"{url}/{dataset}/{name}"]}
                entry |= {kind: digest(file, kind) for kind in ("sha256", "md5") if kind in entry}
                entry |= {"size": file.stat().st_size} if "size" in entry else {}
            lines += [f'[{dataset}."{name}"]']
            lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    path.write_text("\n".join(lines) + "\n")


def configuration(
    published: Path, train: dict[str, list[int]], suite: dict[str, list[str]]
) -> dict[str, Any]:
    """Return the configuration that makes trainings short; `train` are sizes of training classes.

    An epoch ends where too few classes are left that have `samples_per_class` images, so the size
    of the eighth largest class leaves two batches of four classes or little more.
    """
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    backbones = {
        name: {
            "sha256": publish_weights(entry["timm"], entry["revision"], published),
            "model_args": {"img_size": CROP} if name.startswith("vit") else {},
        }
        for name in suite.get("backbones", config["suites"]["paper"]["backbones"])
        for entry in [config["backbones"][name]]
    }
    short = {"resize": CROP, "crop": CROP, "chunk_size": 64, "epochs": 2, "milestones": [1]}
    recipes = [{"where": {"scale": "full"}, "set": short}]
    for name, sizes in train.items():
        samples = sorted(sizes)[-2 * CLASSES]
        batch = {"samples_per_class": samples, "batch_size": CLASSES * samples}
        recipes.append({"where": {"scale": "full", "dataset": name}, "set": batch})
    return {
        "device": "cpu",
        # Sizes of the archives are those here; those of unpacked images are the published ones.
        "check_disk": False,
        "suites": {"paper": suite},
        "backbones": backbones,
        "recipes": [*config["recipes"], *recipes],
    }
