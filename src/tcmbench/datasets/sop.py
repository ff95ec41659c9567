"""Stanford Online Products: pictures of things for sale, with the split of its own two lists."""

from pathlib import Path

from tcmbench.datasets.archives import read_texts, unpack
from tcmbench.datasets.base import Archive, Counts, Dataset, Split
from tcmbench.datasets.labels import rows
from tcmbench.manifests import Item

ARCHIVE = "Stanford_Online_Products.zip"
ROOT = "Stanford_Online_Products/"


def read(archives: Path, images: Path) -> Split:
    """Unpack the images and split them by Ebay_train.txt and Ebay_test.txt.

    Classes have no names of their own, so they get the kind of thing and the id: "bicycle 1".
    """
    archive = archives / ARCHIVE
    members = (f"{ROOT}Ebay_train.txt", f"{ROOT}Ebay_test.txt")
    texts = read_texts(archive, *members)
    train, test = (
        _items(text, f"{member} in {archive}") for text, member in zip(texts, members, strict=True)
    )
    wanted = [item.path for item in (*train, *test)]
    unpack(archive, ROOT, wanted, images, " and ".join(members))
    return Split(train, test)


def _items(text: str, source: str) -> list[Item]:
    return [
        Item(path, label, f"{path.partition('/')[0].removesuffix('_final')} {label}")
        for _image, label, _kind, path in rows(text, source, int, int, int, str, header=1)
    ]


DATASET = Dataset(
    title="Stanford Online Products",
    licence="stated in the file LICENSE inside the archive",
    licence_url="https://cvgl.stanford.edu/projects/lifted_struct/",
    archives=(
        Archive(
            ARCHIVE,
            (
                # pytorch-metric-learning datasets/sop.py.
                "https://drive.usercontent.google.com/download"
                "?id=1TclrpQOF_ullUP99wk_gjGN8pKvtErG8&export=download&authuser=0&confirm=t",
                # The authors' own server, the source of both hashes.
                "ftp://cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
            ),
            size=3_083_860_082,
            # tensorflow/datasets datasets/stanford_online_products/checksums.tsv.
            sha256="b04fa78210e69fab050ce73939550e1cd0f96890bdd98ec9fee732c3b756ef48",
            # From other public projects, which name the same address.
            md5="7f73d41a2f44250d4779881525aea32e",
        ),
    ),
    # Open-metric-learning converters README; pytorch-metric-learning tests/datasets/test_sop.py.
    counts=Counts(
        train_images=59_551, train_classes=11_318, test_images=60_502, test_classes=11_316
    ),
    unpacked_bytes=3_200_000_000,
    read=read,
)
