"""CUB-200-2011: birds, split by class id (1-100 train, 101-200 test)."""

from pathlib import Path

from tcmbench.archives.lookup import read_texts
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, listed
from tcmbench.datasets.labels import by_id, halves
from tcmbench.images.manifests import Item

ARCHIVE = "CUB_200_2011.tgz"
ROOT = "CUB_200_2011/"
TABLES = {"images.txt": str, "image_class_labels.txt": int, "classes.txt": str}


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by class id. The official train_test_split.txt is unused."""
    archive = in_folder(archives, ARCHIVE)
    root, texts = read_texts(archive, ROOT, *TABLES)
    paths, labels, names = (
        by_id(text, f"{root}{name} in {archive}", kind)
        for text, (name, kind) in zip(texts, TABLES.items(), strict=True)
    )
    unknown = set(labels.values()) - set(names)
    if paths.keys() != labels.keys() or unknown:
        raise UserError(
            f"the images, labels and classes in {archive} do not fit together "
            f"({len(paths)} images, {len(labels)} labels, {len(unknown)} unknown classes); "
            "download it again"
        )
    items = [Item(path, labels[i], names[labels[i]]) for i, path in paths.items()]
    images = Images(ARCHIVE, f"{root}images/", [item.path for item in items], f"{root}images.txt")
    return Reading(halves(items, names), (images,))


DATASET = Dataset(
    title="CUB-200-2011",
    # The terms of its authors' page; the archive itself states none.
    licence="non-commercial research and educational use only; the photographs belong to their "
    "owners",
    licence_url="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    layouts={"official": Layout(listed("cub", ARCHIVE), read)},
    # Counted from image_class_labels.txt.
    counts=Counts(train_images=5_864, train_classes=100, test_images=5_924, test_classes=100),
    unpacked_bytes=1_200_000_000,
)
