"""Real scans of handwritten digits, each belonging either to training or to test images."""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "test"]

# Fixed for all data sets and seeds: a network pretrained on training scans must never have seen
# a test scan of any miniature.
_SPLIT_SEED = 20180718
_INK_LEVELS = 16


@cache
def _bundled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # Imported here: scikit-learn costs a second, which `--help` and the readers need not pay.
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images / _INK_LEVELS
    labels = digits.target.astype(np.int64)
    images.setflags(write=False)
    labels.setflags(write=False)
    return images, labels


@cache
def members(split: Split) -> NDArray[np.int64]:
    """Return the sorted indices, among all 1,797 scans, of those that `split` may use.

    Of each digit's scans one half goes to "train" and the other to "test", drawn once for all.
    """
    _, labels = _bundled()
    rng = np.random.default_rng(_SPLIT_SEED)
    chosen = []
    for digit in range(10):
        shuffled = rng.permutation(np.flatnonzero(labels == digit))
        half = (len(shuffled) + 1) // 2
        chosen.append(shuffled[:half] if split == "train" else shuffled[half:])
    indices = np.sort(np.concatenate(chosen))
    indices.setflags(write=False)
    return indices


def scans(split: Split) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scans that `split` may use and the digits they show.

    Returns:
        images [n, 8, 8], ink from 0 (paper) to 1; digits [n], 0 to 9.

    Source: UCI "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998,
    CC BY 4.0), as bundled with scikit-learn (`sklearn.datasets.load_digits`).
    """
    images, labels = _bundled()
    chosen = members(split)
    return images[chosen], labels[chosen]


def choose_scans(number: str, split: Split, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one scan for each digit of `number`: indices [len(number)] among all 1,797 scans."""
    _, labels = _bundled()
    allowed = members(split)
    return np.array([rng.choice(allowed[labels[allowed] == int(digit)]) for digit in number])


def scan_images(indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the scans [n, 8, 8] of the given indices [n] among all 1,797, ink from 0 to 1."""
    images, _ = _bundled()
    return images[indices]
