"""Cars196 as Kaggle has it (jutrera): one .zip with a folder for each class.

Layout: pytorch-metric-learning datasets/cars196.py. As with the devkit, its own training and test
images share their classes, so both are read.
"""

from collections.abc import Sequence
from pathlib import Path

from tcmbench.archives.lookup import member_names, read_texts, top_folder
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Images, Reading
from tcmbench.datasets.labels import class_name, halves, rows
from tcmbench.images.manifests import Item

ARCHIVE = "stanford-car-dataset-by-classes-folder.zip"
ROOT = "car_data/car_data/"
HALVES = ("train", "test")
TABLES = tuple(f"anno_{half}.csv" for half in HALVES)
NAMES = "names.csv"


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by class id; paths are `train/<class folder>/00001.jpg` and so on.

    Raises:
        UserError: a table has a line of another shape, names a class that has no name, or lists an
            image that is not in the folder of its class.
    """
    archive = in_folder(archives, ARCHIVE)
    _, (*tables, lines) = read_texts(archive, "", *TABLES, NAMES)
    names = dict(enumerate(filter(None, map(str.strip, lines.splitlines())), start=1))
    items = [
        item
        for half, table, text in zip(HALVES, TABLES, tables, strict=True)
        for item in _items(half, text, f"{table} in {archive}", names)
    ]
    paths = [item.path for item in items]
    root = _image_folder(archive, paths)
    return Reading(halves(items, names), (Images(ARCHIVE, root, paths, " and ".join(TABLES)),))


def _items(half: str, text: str, source: str, names: dict[int, str]) -> list[Item]:
    items = []
    # File, four corners of a box, class id.
    for file, *_, label in rows(text, source, str, int, int, int, int, int, separator=","):
        name = class_name(names, label, file, source)
        items.append(Item(f"{half}/{name.replace('/', '-')}/{file}", label, name))
    return items


def _image_folder(archive: Path, paths: Sequence[str]) -> str:
    held = set(member_names(archive))
    root = top_folder(held, paths, ROOT, archive)
    missing = [path for path in paths if root + path not in held]
    if missing:
        raise UserError(
            f"{' and '.join(TABLES)} list {len(missing):,} images that are not in the folder of "
            f"their class in {archive}, the first is '{root}{missing[0]}'; it is not the published "
            "archive, delete it and download it again"
        )
    return root
