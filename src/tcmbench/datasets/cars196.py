"""Cars196: cars by make, model and year, split by class id (1-98 train, 99-196 test)."""

from io import BytesIO
from pathlib import Path, PurePosixPath

from tcmbench.datasets.archives import unpack
from tcmbench.datasets.base import Archive, Counts, Dataset, Split
from tcmbench.datasets.labels import halves
from tcmbench.errors import UserError
from tcmbench.manifests import Item

IMAGES = "car_ims.tgz"
LABELS = "cars_annos.mat"
ROOT = "car_ims/"
# Every Stanford address is dead (pytorch/vision issue 7545); this copy is pinned by its revision.
MIRROR = (
    "https://huggingface.co/datasets/XiN0919/FGVC/resolve/921e8dce38536cd5982739d85d5e9235d2cb2a76/"
)


def read(archives: Path, images: Path) -> Split:
    """Unpack the images and split them by class id, whatever their order in the file.

    The official `test` column is unused: it splits images, not classes.
    """
    source = archives / LABELS
    items, classes = _annotations(source)
    unpack(archives / IMAGES, ROOT, [item.path for item in items], images, str(source))
    return halves(items, classes)


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
    archives=(
        Archive(
            IMAGES,
            (f"{MIRROR}car_ims.tgz",),
            # Size as one third party states it, with the sha256 4d96e3e3e892c6b7e4a71959325c7de4
            # 804037d27ba5aaf1c756100fd94a5342; the md5 stands in several public repositories.
            size=1_956_628_579,
            md5="d5c8f0aa497503f355e17dc7886c3f14",
        ),
        # Size from the same third party, hash from the same repositories.
        Archive(
            LABELS,
            (f"{MIRROR}cars_annos.mat",),
            size=394_471,
            md5="b407c6086d669747186bd1d764ff9dbc",
        ),
    ),
    # Counted from a copy of the annotations; pytorch-metric-learning datasets/cars196.py.
    counts=Counts(train_images=8_054, train_classes=98, test_images=8_131, test_classes=98),
    unpacked_bytes=2_000_000_000,
    read=read,
)
