"""iNaturalist 2018: species, with the class-disjoint split lists of the Smooth-AP authors."""

import json
from pathlib import Path
from typing import Any

from tcmbench.datasets.archives import read_texts
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, Split, listed
from tcmbench.errors import UserError
from tcmbench.manifests import Item

IMAGES = "train_val2018.tar.gz"
LABELS = ("train2018.json", "val2018.json")
SPLITS = "inat_dataset_splits.zip"
LISTS = ("Inaturalist_train_set1.txt", "Inaturalist_test_set1.txt")
ROOT = "train_val2018/"


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by the lists; class ids and names are those of the two JSON files.

    The competition obscured the names of its categories, and they are kept as they stand.
    Images of the archive that neither list names are left packed.
    """
    labels: dict[str, int] = {}
    names: dict[int, str] = {}
    for member in LABELS:
        _annotations(archives / f"{member}.tar.gz", member, labels, names)
    source = archives / SPLITS
    lists = read_texts(source, *(f"Inat_dataset_splits/{name}" for name in LISTS))
    train, test = (
        [_item(line.strip(), labels, names, source) for line in text.splitlines() if line.strip()]
        for text in lists
    )
    wanted = [item.path for item in (*train, *test)]
    return Reading(Split(train, test), (Images(IMAGES, ROOT, wanted, str(source)),))


def _annotations(archive: Path, member: str, labels: dict[str, int], names: dict[int, str]) -> None:
    """Add the class of each image file, and the name of each class, of one COCO-style file."""
    (text,) = read_texts(archive, member)
    try:
        content: dict[str, Any] = json.loads(text)
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        names.update({int(c["id"]): str(c["name"]) for c in content["categories"]})
        for annotation in content["annotations"]:
            labels[files[annotation["image_id"]]] = int(annotation["category_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{member} in {archive} is not the published file ({error!r}); download it again"
        ) from None


def _item(path: str, labels: dict[str, int], names: dict[int, str], source: Path) -> Item:
    label = labels.get(path)
    if label is None or label not in names or not path.startswith(ROOT):
        raise UserError(
            f"{source} lists '{path}', for which {' and '.join(LABELS)} give no class; the files "
            "do not belong together, download them again"
        )
    return Item(path.removeprefix(ROOT), label, names[label])


DATASET = Dataset(
    title="iNaturalist 2018",
    licence="non-commercial research and education only; the images may not be passed on",
    # Its section "Terms of Use".
    licence_url="https://github.com/visipedia/inat_comp/blob/master/2018/README.md",
    layouts={
        "lists": Layout(
            listed("inat2018", IMAGES, *(f"{name}.tar.gz" for name in LABELS), SPLITS), read
        ),
    },
    # Images: pytorch-metric-learning tests/datasets/test_inaturalist2018.py. Classes: no source
    # says so in words; they follow from 70 % of each supercategory, rounded down.
    counts=Counts(
        train_images=325_846, train_classes=5_690, test_images=136_093, test_classes=2_452
    ),
    unpacked_bytes=125_000_000_000,
)
