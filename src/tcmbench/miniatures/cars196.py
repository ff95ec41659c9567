"""Miniature of Cars196: two-digit numbers in strong paint on wide images, 98 classes."""

import io
from collections.abc import Sequence

import numpy as np

from tcmbench.miniatures.archive import Miniature, tar_gz
from tcmbench.miniatures.photographs import Subject, counts, halves, photographs
from tcmbench.miniatures.render import Style, frame

STYLE = Style(
    height=44,
    width=72,
    papers=(
        (196, 28, 34),  # red paint
        (24, 66, 170),  # blue
        (236, 196, 24),  # yellow
        (20, 120, 70),  # green
        (236, 112, 20),  # orange
        (34, 34, 40),  # black
        (222, 224, 228),  # silver
    ),
    inks=((252, 252, 252), (12, 12, 16), (255, 222, 40), (176, 16, 30), (16, 40, 130)),
    shade=12,
    noise=5,
    clutter=3,
)
_CLASSES = 98
_FIELDS = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
_MAT_HEADER = 116  # bytes of free text at the start of a MATLAB 5 file


def make(rng: np.random.Generator) -> Miniature:
    """Make car_ims.tgz and cars_annos.mat; the first half of the class ids are training classes."""
    train, test = halves(2, rng.integers(9, 18, _CLASSES).tolist(), rng)
    subjects = (*train, *test)
    images = [
        (label, jpeg)
        for label, subject in enumerate(subjects, start=1)
        for jpeg in photographs(subject, STYLE, rng)
    ]
    # File order says nothing about the class: a reader has to take the class ids.
    shuffled = [images[place] for place in rng.permutation(len(images))]
    paths = [f"car_ims/{number:06d}.jpg" for number in range(1, len(images) + 1)]
    labels = [label for label, _ in shuffled]
    files = {path: jpeg for path, (_, jpeg) in zip(paths, shuffled, strict=True)}
    archives = {
        "car_ims.tgz": tar_gz(files),
        "cars_annos.mat": _annotations(paths, labels, subjects, rng),
    }
    return Miniature(archives, counts(train, test))


def _annotations(
    paths: Sequence[str],
    labels: Sequence[int],
    subjects: Sequence[Subject],
    rng: np.random.Generator,
) -> bytes:
    """Return the MATLAB file: `annotations` (1, images) struct, `class_names` (1, classes) cell."""
    # Imported here: only this data set needs it.
    from scipy.io import savemat

    annotations = np.empty((1, len(paths)), dtype=[(field, object) for field in _FIELDS])
    box = tuple(np.uint16(edge) for edge in frame(STYLE))
    # The archive's own split of the images, which the split by classes does not use.
    flags = rng.integers(2, size=len(paths), dtype=np.uint8)
    for place, (path, label) in enumerate(zip(paths, labels, strict=True)):
        annotations[0, place] = (path, *box, np.uint8(label), flags[place])
    names = np.empty((1, len(subjects)), dtype=object)
    names[0] = [f"Number {subject.number}" for subject in subjects]
    stream = io.BytesIO()
    savemat(stream, {"annotations": annotations, "class_names": names}, do_compression=True)
    # SciPy writes the date into the header's text; the bytes must not depend on it.
    return b"MATLAB 5.0 MAT-file".ljust(_MAT_HEADER) + stream.getvalue()[_MAT_HEADER:]
