"""Classes and their images: which numbers there are, and JPEG photographs of each."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tcmbench.miniatures.render import Style, compose
from tcmbench.miniatures.scans import Split, choose_scans, scan_images

_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Subject:
    """One class: a number, the split whose scans spell it, and how many images it has."""

    number: str
    split: Split
    images: int


def draw_numbers(digits: int, count: int, rng: np.random.Generator) -> list[str]:
    """Draw `count` different numbers of so many digits, leading zeros included, in random order."""
    drawn = rng.permutation(10**digits)[:count]
    return [f"{number:0{digits}d}" for number in drawn.tolist()]


def halves(
    digits: int, sizes: Sequence[int], rng: np.random.Generator
) -> tuple[list[Subject], list[Subject]]:
    """Make one class for each size: the first half are training classes, the second test classes.

    Args:
        digits: digits of every number.
        sizes: images of each class, [an even number of classes].
        rng: decides which number stands where.
    """
    numbers = draw_numbers(digits, len(sizes), rng)
    middle = len(sizes) // 2
    train = zip(numbers[:middle], sizes[:middle], strict=True)
    test = zip(numbers[middle:], sizes[middle:], strict=True)
    return (
        [Subject(number, "train", size) for number, size in train],
        [Subject(number, "test", size) for number, size in test],
    )


def photographs(subject: Subject, style: Style, rng: np.random.Generator) -> list[bytes]:
    """Return all images of one class as JPEG files; each is a fresh choice of its digits' scans."""
    return [_photograph(subject, style, rng) for _ in range(subject.images)]


def counts(train: Sequence[Subject], test: Sequence[Subject]) -> dict[str, int]:
    """Return the numbers of images and classes of both splits, named as the readers check them."""
    return {
        "train_images": sum(subject.images for subject in train),
        "train_classes": len(train),
        "test_images": sum(subject.images for subject in test),
        "test_classes": len(test),
    }


def _photograph(subject: Subject, style: Style, rng: np.random.Generator) -> bytes:
    chosen = scan_images(choose_scans(subject.number, subject.split, rng))
    stream = io.BytesIO()
    compose(list(chosen), style, rng).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()
