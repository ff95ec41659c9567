"""Cars196 as its authors first passed it around: two archives of images and the devkit.

The official training and test images share their classes, so both are read, and the halves of the
retrieval split are made by class id. Layout: torchvision 0.19 datasets/stanford_cars.py.
"""

from pathlib import Path

from tcmbench.archives.lookup import read_members
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Images, Reading
from tcmbench.datasets.labels import class_name, halves
from tcmbench.datasets.matlab import class_names, columns
from tcmbench.images.manifests import Item

FOLDERS = ("cars_train", "cars_test")
DEVKIT = "car_devkit.tgz"
# The devkit's own cars_test_annos.mat has no classes: they were kept back for a competition.
LABELS = "cars_test_annos_withlabels.mat"
ARCHIVES = (*(f"{folder}.tgz" for folder in FOLDERS), DEVKIT, LABELS)


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images of both archives by class id; paths are `cars_train/00001.jpg` and so on.

    Raises:
        UserError: a label file is damaged, names a class that has no name, or lists other test
            images than the devkit.
    """
    devkit = in_folder(archives, DEVKIT)
    files = [f"cars_{name}.mat" for name in ("meta", "train_annos", "test_annos")]
    root, (meta, train, test) = read_members(devkit, "devkit/", *files)
    members = [root + file for file in files]
    names = class_names(meta, f"{members[0]} in {devkit}")
    labels = in_folder(archives, LABELS)
    sources = (f"{members[1]} in {devkit}", str(labels))
    contents = (train, labels.read_bytes())
    items = [
        _items(folder, content, source, names)
        for folder, content, source in zip(FOLDERS, contents, sources, strict=True)
    ]
    _check_test(items[1], columns(test, f"{members[2]} in {devkit}", {"fname": str}), *sources[1:])
    images = tuple(
        Images(f"{folder}.tgz", "", [item.path for item in own], source)
        for folder, own, source in zip(FOLDERS, items, sources, strict=True)
    )
    return Reading(halves(items[0] + items[1], names), images)


def _items(folder: str, content: bytes, source: str, names: dict[int, str]) -> list[Item]:
    return [
        Item(f"{folder}/{file}", label, class_name(names, label, file, source))
        for file, label in columns(content, source, {"fname": str, "class": int})
    ]


def _check_test(labelled: list[Item], unlabelled: list[tuple[str]], source: str) -> None:
    listed = {f"{FOLDERS[1]}/{file}" for (file,) in unlabelled}
    if odd := listed ^ {item.path for item in labelled}:
        raise UserError(
            f"{source} and cars_test_annos.mat in {DEVKIT} do not list the same test images "
            f"({len(labelled):,} and {len(listed):,}, '{min(odd)}' is in one only); they do not "
            "belong together, download both again"
        )
