"""Miniature of MNIST: the bundled scans of single digits, in the layout of the idx files."""

import gzip
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tcmbench.miniatures.archive import Miniature
from tcmbench.miniatures.scans import scans

# As in MNIST, a digit is fitted into 20 pixels within 28.
SIDE, DIGIT = 28, 20
_HALVES = (("train", "train"), ("t10k", "test"))


def make(rng: np.random.Generator) -> Miniature:
    """Make the four files; a half has the scans of its split, in an order that `rng` draws."""
    archives: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    for name, split in _HALVES:
        inks, digits = scans("train" if split == "train" else "test")
        order = rng.permutation(len(digits))
        images = np.stack([enlarged(inks[index]) for index in order])
        archives[f"{name}-images-idx3-ubyte.gz"] = idx(images)
        archives[f"{name}-labels-idx1-ubyte.gz"] = idx(digits[order].astype(np.uint8))
        counts |= {f"{split}_images": len(digits), f"{split}_classes": len(np.unique(digits))}
    return Miniature(archives, counts)


def enlarged(ink: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a scan [8, 8], ink 0 to 1, as an image [28, 28], ink 0 to 255."""
    levels = Image.fromarray(np.round(255 * ink).astype(np.uint8))
    wide = levels.resize((DIGIT, DIGIT), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(wide), (SIDE - DIGIT) // 2)


def idx(values: NDArray[np.uint8]) -> bytes:
    """Pack an array of any number of axes into a gzipped idx file."""
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(header + values.tobytes(), compresslevel=6, mtime=0)
