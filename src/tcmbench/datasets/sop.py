"""Stanford Online Products: pictures of things for sale, with the split of its own two lists."""

from pathlib import Path

from tcmbench.archives.lookup import read_texts
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, Split, listed
from tcmbench.datasets.labels import rows
from tcmbench.images.manifests import Item

ARCHIVE = "Stanford_Online_Products.zip"
ROOT = "Stanford_Online_Products/"
LISTS = ("Ebay_train.txt", "Ebay_test.txt")


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by Ebay_train.txt and Ebay_test.txt.

    Classes have no names of their own, so they get the kind of thing and the id: "bicycle 1".
    """
    archive = in_folder(archives, ARCHIVE)
    root, texts = read_texts(archive, ROOT, *LISTS)
    train, test = (
        _items(text, f"{root}{name} in {archive}") for text, name in zip(texts, LISTS, strict=True)
    )
    wanted = [item.path for item in (*train, *test)]
    return Reading(Split(train, test), (Images(ARCHIVE, root, wanted, " and ".join(LISTS)),))


def _items(text: str, source: str) -> list[Item]:
    return [
        Item(path, label, f"{path.partition('/')[0].removesuffix('_final')} {label}")
        for _image, label, _kind, path in rows(text, source, int, int, int, str, header=True)
    ]


DATASET = Dataset(
    title="Stanford Online Products",
    licence="stated in the file LICENSE inside the archive",
    licence_url="https://cvgl.stanford.edu/projects/lifted_struct/",
    layouts={"official": Layout(listed("sop", ARCHIVE), read)},
    # Open-metric-learning converters README; pytorch-metric-learning tests/datasets/test_sop.py.
    counts=Counts(
        train_images=59_551, train_classes=11_318, test_images=60_502, test_classes=11_316
    ),
    unpacked_bytes=3_200_000_000,
)
