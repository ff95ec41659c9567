"""Miniature of Stanford Online Products: three-digit numbers, many classes of a few images."""

from collections.abc import Sequence

import numpy as np

from tcmbench.miniatures.archive import Miniature, zipped
from tcmbench.miniatures.photographs import Subject, counts, halves, photographs
from tcmbench.miniatures.render import Style

STYLE = Style(
    height=48,
    width=48,
    papers=((250, 250, 250), (240, 238, 232), (228, 232, 236), (214, 214, 214)),
    inks=((24, 24, 28), (120, 40, 30), (30, 60, 120), (30, 90, 60), (92, 60, 110), (96, 84, 70)),
    shade=6,
    noise=3,
    clutter=1,
    grey=0.05,
)
_CLASSES = 260
_CATEGORIES = (
    "bicycle",
    "cabinet",
    "chair",
    "coffee_maker",
    "fan",
    "kettle",
    "lamp",
    "mug",
    "sofa",
    "stapler",
    "table",
    "toaster",
)
_ROOT = "Stanford_Online_Products"
_HEADER = "image_id class_id super_class_id path"
_README = """Miniature of Stanford Online Products.

Same layout as the public archive. Ebay_train.txt, Ebay_test.txt and Ebay_info.txt (both) hold
image_id class_id super_class_id path, space separated; class ids run on from train to test.
The images show three-digit numbers; a super-class is a folder and means nothing else.
"""
_LICENSE = """The images are composed of scans of handwritten digits from UCI "Optical
Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998), licensed CC BY 4.0.
"""


def make(rng: np.random.Generator) -> Miniature:
    """Make Stanford_Online_Products.zip; class ids run on from training to test classes."""
    train, test = halves(3, rng.integers(2, 9, _CLASSES).tolist(), rng)
    files: dict[str, bytes] = {}
    train_lines = _products(train, 0, 0, files, rng)
    test_lines = _products(test, len(train), len(train_lines), files, rng)
    listings = {"train": train_lines, "test": test_lines, "info": train_lines + test_lines}
    paths = sorted(files)
    content = {f"{_ROOT}/{path}": jpeg for path, jpeg in files.items()}
    for split, lines in listings.items():
        content[f"{_ROOT}/Ebay_{split}.txt"] = _text([_HEADER, *lines])
    for category in _CATEGORIES:
        own = [path for path in paths if path.startswith(f"{category}_final/")]
        content[f"{_ROOT}/{category}_final.txt"] = _text(own)
    content |= {f"{_ROOT}/README": _README.encode(), f"{_ROOT}/LICENSE": _LICENSE.encode()}
    return Miniature({"Stanford_Online_Products.zip": zipped(content)}, counts(train, test))


def _products(
    subjects: Sequence[Subject],
    classes_before: int,
    images_before: int,
    files: dict[str, bytes],
    rng: np.random.Generator,
) -> list[str]:
    """Add the images of one split to `files`, sorted by super-class, and return its list's rows."""
    rows: list[str] = []
    for place, subject in enumerate(subjects):
        super_class = place * len(_CATEGORIES) // len(subjects)
        class_id = classes_before + place + 1
        for view, jpeg in enumerate(photographs(subject, STYLE, rng)):
            # Like an item of the shop: twelve digits, the last three are the number itself.
            path = f"{_CATEGORIES[super_class]}_final/{class_id:09d}{subject.number}_{view}.JPG"
            files[path] = jpeg
            image_id = images_before + len(rows) + 1
            rows.append(f"{image_id} {class_id} {super_class + 1} {path}")
    return rows


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
