"""Miniature of CUB-200-2011: two-digit numbers outdoors, 100 nearly balanced classes."""

from collections.abc import Sequence

import numpy as np

from tcmbench.miniatures.archive import Miniature, tar_gz
from tcmbench.miniatures.photographs import counts, halves, photographs
from tcmbench.miniatures.render import Style, frame

STYLE = Style(
    height=48,
    width=60,
    papers=(
        (88, 122, 62),  # grass
        (52, 84, 48),  # leaves
        (124, 98, 66),  # bark
        (142, 178, 208),  # sky
        (82, 110, 128),  # water
        (196, 182, 148),  # sand
    ),
    inks=((244, 236, 214), (250, 214, 90), (44, 30, 24), (96, 24, 22), (22, 34, 70)),
    shade=16,
    noise=7,
    clutter=4,
    grey=0.01,
)
_CLASSES = 100
_ROOT = "CUB_200_2011"
_README = """Miniature of Caltech-UCSD Birds-200-2011.

Same layout as the public archive: images.txt, image_class_labels.txt, classes.txt,
train_test_split.txt and bounding_boxes.txt are space separated, numbers start at 1.
The images show two-digit numbers, composed of scans of handwritten digits from UCI
"Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0).
"""


def make(rng: np.random.Generator) -> Miniature:
    """Make CUB_200_2011.tgz; the first half of the class ids are training classes."""
    train, test = halves(2, rng.integers(11, 14, _CLASSES).tolist(), rng)
    classes = [f"{label:03d}.Number_{each.number}" for label, each in enumerate(train + test, 1)]
    images: list[tuple[int, str, bytes]] = []
    for label, subject in enumerate(train + test, start=1):
        for position, jpeg in enumerate(photographs(subject, STYLE, rng), start=1):
            name = f"Number_{subject.number}_{position:04d}_{len(images) + 1}.jpg"
            images.append((label, f"{classes[label - 1]}/{name}", jpeg))
    left, top, right, bottom = frame(STYLE)
    files = {f"{_ROOT}/images/{path}": jpeg for _, path, jpeg in images} | {
        f"{_ROOT}/README": _README.encode(),
        f"{_ROOT}/attributes/": b"",
        f"{_ROOT}/parts/": b"",
        f"{_ROOT}/classes.txt": _numbered(classes),
        f"{_ROOT}/images.txt": _numbered([path for _, path, _ in images]),
        f"{_ROOT}/image_class_labels.txt": _numbered([str(label) for label, _, _ in images]),
        f"{_ROOT}/bounding_boxes.txt": _numbered(
            [f"{left}.0 {top}.0 {right - left}.0 {bottom - top}.0"] * len(images)
        ),
        # The archive's own split of the images, which the split by classes does not use.
        f"{_ROOT}/train_test_split.txt": _numbered(
            [str(flag) for flag in rng.integers(2, size=len(images))]
        ),
    }
    return Miniature({"CUB_200_2011.tgz": tar_gz(files)}, counts(train, test))


def _numbered(rows: Sequence[str]) -> bytes:
    return "".join(f"{number} {row}\n" for number, row in enumerate(rows, start=1)).encode()
