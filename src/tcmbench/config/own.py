"""Datasets of one's own in config.yaml: a folder or a table of images, under a new name."""

from collections.abc import Collection
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.config.schema import Config

# The scale of the suites that run on them.
OWN = "own"


def images_folder(entry: Config) -> Path:
    """Return the folder that the paths of a dataset's images start from."""
    return Path(entry.get("folder") or entry.get("images") or Path(entry["table"]).parent)


def check_entry(name: str, entry: Config, published: Collection[str]) -> None:
    """Check that a dataset is told from the published ones, and that it is said where it lies.

    Raises:
        UserError: it has the name of a published one or of a figure, or not one source.
    """
    place = f"config.yaml key 'datasets.{name}'"
    if name.endswith(("_base", "_tcm")):
        raise UserError(f"{place} ends like the figures of a variant; call it otherwise")
    if name in published:
        raise UserError(
            f"{place} has the name of a published dataset, with which its results would be "
            "confused; call it otherwise"
        )
    if ("folder" in entry) == ("table" in entry):
        raise UserError(f"{place} needs either a folder or a table; give it one of them")
    if "images" in entry and "folder" in entry:
        raise UserError(
            f"{place} has 'images', which the paths of a table start from, beside a folder; remove "
            "one of them"
        )


def check_scale(name: str, suite: Config, own: Collection[str]) -> None:
    """Check that the datasets of a suite are of its scale; `own` are those of one's own.

    Raises:
        UserError: one is not.
    """
    for dataset in suite["datasets"]:
        if (dataset in own) == (suite["scale"] == OWN):
            continue
        is_own = f"images of your own; set scale: {OWN}"
        is_published = "a published dataset; set scale: full"
        raise UserError(
            f"config.yaml suite '{name}' has the scale '{suite['scale']}', but '{dataset}' is "
            f"{is_own if dataset in own else is_published}, or choose another dataset"
        )
