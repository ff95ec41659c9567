"""What the network would give: archives with tiny pictures, and start weights of true shape.

Files, classes and layouts are the published ones, or a share of them; pictures are 16 pixels wide.
A class has its own colours and no two pictures of it are alike, so that distances are spread as
embeddings' are.
"""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tcmbench.datasets.base import Counts
from tests.datasets.full_size import (
    Sizes,
    cars_images,
    cub,
    cub_listed,
    halves,
    inat_files,
    shuffled,
    sop,
    sop_listed,
    species,
)
from tests.datasets.layouts import Members, pack

SIDE = 16
# A prime number of patterns of noise, more than any class has images.
PATTERNS = 1_009
NAMES = ("cub", "cars196", "sop", "inat2018")


def publish(name: str, folder: Path, share: float) -> tuple[Sizes, Counts]:
    """Write the archives of a dataset into `folder`.

    Returns:
        The sizes of the training classes, and the counts that its split has to have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if name == "inat2018":
        found = species(share=share)
        inat_files(folder, found)
        paths = [(path, label) for label, own in found.paths().items() for path in own]
        pack(folder, {"train_val2018.tar.gz": pictures("", paths)})
        own = {label: found.sizes[label] for label in found.training}
        return own, counted(own, {c: n for c, n in found.sizes.items() if c not in own})
    train, test = halves(name, share)
    both = train | test
    if name == "cub":
        archives = cub(both)
        add(archives, "CUB_200_2011.tgz", "CUB_200_2011/images/", cub_listed(both))
    elif name == "cars196":
        archives = {"car_ims.tgz": {}} | cars_images(both)
        rows = enumerate(shuffled(both), 1)
        add(archives, "car_ims.tgz", "car_ims/", ((f"{n:06}.jpg", label) for n, label in rows))
    else:
        archives = sop(train, test)
        root = "Stanford_Online_Products/"
        add(archives, "Stanford_Online_Products.zip", root, sop_listed(both))
    pack(folder, archives)
    return train, counted(train, test)


def add(
    archives: dict[str, Members | bytes], archive: str, root: str, listed: Iterable[tuple[str, int]]
) -> None:
    """Add a picture for each listed path to an archive."""
    members = archives[archive]
    assert isinstance(members, dict)
    members |= pictures(root, listed)


def counted(train: Sizes, test: Sizes) -> Counts:
    return Counts(sum(train.values()), len(train), sum(test.values()), len(test))


def pictures(root: str, listed: Iterable[tuple[str, int]]) -> Members:
    """Return a JPEG file for each path."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 24, (PATTERNS, SIDE, SIDE, 3))
    colours = random.uniform(32, 224, (10_007, 2, 2, 3))
    found: Members = {}
    for number, (path, label) in enumerate(listed):
        patches = colours[label % len(colours)].repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
        pixels = np.clip(patches + noise[number % PATTERNS], 0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG")
        found[root + path] = stream.getvalue()
    return found


def publish_weights(timm_name: str, revision: str, folder: Path) -> str:
    """Write random weights of a timm model to where the hub has them; return their SHA-256."""
    import timm
    import torch
    from safetensors.torch import save_file

    path = folder / f"timm/{timm_name}/resolve/{revision}/model.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        state: dict[str, Any] = timm.create_model(timm_name, pretrained=False).state_dict()
        save_file(state, path)
    return digest(path, "sha256")


def digest(path: Path, kind: str) -> str:
    """Return a hash of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()
