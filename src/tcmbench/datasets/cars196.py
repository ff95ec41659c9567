"""Cars196: cars by make, model and year, split by class id (1-98 train, 99-196 test)."""

from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets import cars_devkit, cars_kaggle
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, listed
from tcmbench.datasets.labels import class_name, halves
from tcmbench.datasets.matlab import class_names, columns
from tcmbench.images.manifests import Item

IMAGES = "car_ims.tgz"
LABELS = "cars_annos.mat"
ROOT = "car_ims/"


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by class id, whatever their order in the file.

    The official `test` column is unused: it splits images, not classes.
    """
    source = in_folder(archives, LABELS)
    content = source.read_bytes()
    names = class_names(content, str(source))
    rows = columns(content, str(source), {"relative_im_path": str, "class": int})
    items = [
        Item(_below_root(path, source), label, class_name(names, label, path, str(source)))
        for path, label in rows
    ]
    images = Images(IMAGES, ROOT, [item.path for item in items], str(source))
    return Reading(halves(items, names), (images,))


def _below_root(path: str, source: Path) -> str:
    if not path.startswith(ROOT):
        raise UserError(
            f"{source} lists '{path}', which is not below {ROOT}; it is not the published file, "
            "delete it and download it again"
        )
    return path.removeprefix(ROOT)


DATASET = Dataset(
    title="Cars196",
    # Neither the devkit nor any catalogue that lists the dataset (TensorFlow Datasets, Hugging
    # Face, Dataset Ninja) knows of a licence.
    licence="no licence is stated in the archive; the photographs belong to their owners",
    licence_url="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    layouts={
        "images": Layout(listed("cars196", IMAGES, LABELS), read),
        "devkit": Layout(listed("cars196", *cars_devkit.ARCHIVES), cars_devkit.read),
        "kaggle": Layout(listed("cars196", cars_kaggle.ARCHIVE), cars_kaggle.read),
    },
    # Counted from a copy of the annotations; pytorch-metric-learning datasets/cars196.py.
    counts=Counts(train_images=8_054, train_classes=98, test_images=8_131, test_classes=98),
    unpacked_bytes=2_000_000_000,
)
