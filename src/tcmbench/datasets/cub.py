"""CUB-200-2011: birds, split by class id (1-100 train, 101-200 test)."""

from pathlib import Path

from tcmbench.datasets.archives import read_texts, unpack
from tcmbench.datasets.base import Archive, Counts, Dataset, Split
from tcmbench.datasets.labels import halves, rows
from tcmbench.errors import UserError
from tcmbench.manifests import Item

ARCHIVE = "CUB_200_2011.tgz"
ROOT = "CUB_200_2011/"


def read(archives: Path, images: Path) -> Split:
    """Unpack the images and split them by class id. The official train_test_split.txt is unused."""
    archive = archives / ARCHIVE
    members = [f"{ROOT}{name}.txt" for name in ("images", "image_class_labels", "classes")]
    texts = read_texts(archive, *members)
    paths, labels, names = (
        dict(rows(text, f"{member} in {archive}", int, kind))
        for text, member, kind in zip(texts, members, (str, int, str), strict=True)
    )
    unknown = set(labels.values()) - set(names)
    if paths.keys() != labels.keys() or unknown:
        raise UserError(
            f"the images, labels and classes in {archive} do not fit together "
            f"({len(paths)} images, {len(labels)} labels, {len(unknown)} unknown classes); "
            "download it again"
        )
    items = [Item(path, labels[i], names[labels[i]]) for i, path in paths.items()]
    unpack(archive, f"{ROOT}images/", [item.path for item in items], images, members[0])
    return halves(items, names)


DATASET = Dataset(
    title="CUB-200-2011",
    licence="no licence is stated in the archive; the photographs belong to their owners",
    licence_url="https://data.caltech.edu/records/65de6-vp158",
    archives=(
        Archive(
            ARCHIVE,
            (
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                # Same name and size: fastai external.py and checks.txt.
                "https://s3.amazonaws.com/fast-ai-imageclas/CUB_200_2011.tgz",
            ),
            size=1_150_585_339,
            # Size and hash: tensorflow/datasets url_checksums/caltech_birds2011.txt.
            sha256="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
            # From other projects (avalanche and more); not seen beside the hash above.
            md5="97eceeb196236b17998738112f37df78",
        ),
    ),
    # Counted from image_class_labels.txt.
    counts=Counts(train_images=5_864, train_classes=100, test_images=5_924, test_classes=100),
    unpacked_bytes=1_200_000_000,
    read=read,
)
