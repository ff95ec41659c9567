"""Cars196: cars by make, model and year, split by class id (1-98 train, 99-196 test)."""

from io import BytesIO
from pathlib import Path, PurePosixPath

from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, listed
from tcmbench.datasets.labels import halves
from tcmbench.errors import UserError
from tcmbench.manifests import Item

IMAGES = "car_ims.tgz"
LABELS = "cars_annos.mat"
ROOT = "car_ims/"


def read(archives: Path, _counts: Counts) -> Reading:
    """Split the images by class id, whatever their order in the file.

    The official `test` column is unused: it splits images, not classes.
    """
    source = archives / LABELS
    items, classes = _annotations(source)
    images = Images(IMAGES, ROOT, [item.path for item in items], str(source))
    return Reading(halves(items, classes), (images,))


def _annotations(source: Path) -> tuple[list[Item], list[int]]:
    """Return the images in file order, their paths below `ROOT`, and all class ids."""
    from scipy.io import loadmat

    content = source.read_bytes()
    try:
        table = loadmat(BytesIO(content))
        # Each value is an array of its own: (1, 1) for a number, one element for a text.
        names = {i: str(name.item()) for i, name in enumerate(table["class_names"].flat, start=1)}
        records = table["annotations"].ravel()
        items = []
        for path, number in zip(records["relative_im_path"], records["class"], strict=True):
            label = int(number.item())
            relative = PurePosixPath(path.item()).relative_to(ROOT)
            items.append(Item(str(relative), label, names[label]))
    # A damaged file makes scipy raise almost anything.
    except Exception as error:
        raise UserError(
            f"{source} is truncated or damaged, or is not the published file ({error!r}); delete "
            "it and download it again"
        ) from None
    return items, list(names)


DATASET = Dataset(
    title="Cars196",
    licence="no licence is stated in the archive; the photographs belong to their owners",
    licence_url="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    layouts={"images": Layout(listed("cars196", IMAGES, LABELS), read)},
    # Counted from a copy of the annotations; pytorch-metric-learning datasets/cars196.py.
    counts=Counts(train_images=8_054, train_classes=98, test_images=8_131, test_classes=98),
    unpacked_bytes=2_000_000_000,
)
