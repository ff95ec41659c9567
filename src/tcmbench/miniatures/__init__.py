"""Miniature archives: real digit scans composed into numbers, in the exact public layouts."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tcmbench.common.errors import UserError, nearest
from tcmbench.common.files import atomic_path, write_json
from tcmbench.miniatures import cars196, cub, inat2018, mnist, sop
from tcmbench.miniatures.archive import Miniature

STYLES = {
    "cub": cub.STYLE,
    "cars196": cars196.STYLE,
    "sop": sop.STYLE,
    "inat2018": inat2018.STYLE,
}
_MAKERS: dict[str, Callable[[np.random.Generator], Miniature]] = {
    "cub": cub.make,
    "cars196": cars196.make,
    "sop": sop.make,
    "inat2018": inat2018.make,
    "mnist": mnist.make,
}


def make_miniature(dataset: str, seed: int = 0) -> Miniature:
    """Make the miniature archives of one data set; the same seed gives the same bytes.

    Raises:
        UserError: there is no miniature of that name, or the seed is negative.
    """
    if dataset not in _MAKERS:
        hint = nearest(dataset, _MAKERS)
        raise UserError(f"there is no miniature of dataset '{dataset}'; {hint}")
    if seed < 0:
        raise UserError(f"the seed of a miniature is {seed}; choose 0 or a positive whole number")
    # The name is part of the seed, so that two data sets do not draw the same numbers.
    return _MAKERS[dataset](np.random.default_rng([seed, *dataset.encode()]))


def write_miniature(dataset: str, folder: Path, seed: int = 0) -> None:
    """Write the archives of one data set and `expected.json` into `folder`.

    `expected.json` holds what a download and a reader check against: {"sha256": {archive: hex},
    "counts": {"train_images", "train_classes", "test_images", "test_classes"}}.

    Raises:
        UserError: there is no miniature of that name, or the seed is negative.
    """
    miniature = make_miniature(dataset, seed)
    for name, content in miniature.archives.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    hashes = {
        name: hashlib.sha256(content).hexdigest() for name, content in miniature.archives.items()
    }
    write_json(folder / "expected.json", {"sha256": hashes, "counts": miniature.counts})
