"""MNIST: handwritten digits, for the toy; training and test images are of the same ten classes."""

from pathlib import Path

from tcmbench.archives.idx import image_name, read_labels
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, Split, listed
from tcmbench.images.manifests import Item

IMAGES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
LABELS = ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def read(archives: Path, _counts: Counts) -> Reading:
    """Take the public split into training and test images. A class is a digit."""
    halves = [_half(archives, *names) for names in zip(IMAGES, LABELS, strict=True)]
    parts = [
        Images(images, "", [item.path for item in half], labels)
        for images, labels, half in zip(IMAGES, LABELS, halves, strict=True)
    ]
    return Reading(Split(*halves), tuple(parts))


def _half(archives: Path, images: str, labels: str) -> list[Item]:
    path = in_folder(archives, labels)
    digits = read_labels(path)
    if unknown := [digit for digit in digits if digit > 9]:
        raise UserError(
            f"{path} names a digit {unknown[0]}; it is not the published file, delete "
            "it and download it again"
        )
    return [Item(image_name(images, i), digit, str(digit)) for i, digit in enumerate(digits)]


DATASET = Dataset(
    title="MNIST",
    licence="no licence is stated in the files; the digits are from NIST databases 1 and 3",
    licence_url="http://yann.lecun.com/exdb/mnist/",
    layouts={"idx": Layout(listed("mnist", *IMAGES, *LABELS), read)},
    # The database's own page, and tensorflow/datasets image_classification/mnist.py.
    counts=Counts(train_images=60_000, train_classes=10, test_images=10_000, test_classes=10),
    # Files of a few hundred bytes, which take a block of the disk each.
    unpacked_bytes=290_000_000,
    open_world=False,
)
