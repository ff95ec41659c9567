"""One file per dataset: addresses, hashes, licence note, layout reader, split, counts.

A dataset is a file of this folder that defines `DATASET`; a new file is a new dataset.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

from tcmbench.common.errors import UserError, nearest
from tcmbench.datasets.base import Dataset

__all__ = ["load", "names"]


def load(name: str) -> Dataset:
    """Return the dataset that the file `name`.py of this folder describes.

    Raises:
        UserError: there is no such dataset.
    """
    dataset = _described(name) if name in _stems() else None
    if dataset is None:
        raise UserError(f"there is no dataset '{name}'; {nearest(name, names())}")
    return dataset


def names() -> list[str]:
    """Return the names of all datasets, sorted."""
    return sorted(stem for stem in _stems() if _described(stem))


def _stems() -> set[str]:
    return {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}


def _described(stem: str) -> Dataset | None:
    dataset = getattr(import_module(f"{__name__}.{stem}"), "DATASET", None)
    return dataset if isinstance(dataset, Dataset) else None
