"""Synthetic photographs: noise whose spectrum falls with frequency as that of real scenes does."""

import io
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tcmbench.images.manifests import Item, write_manifest

# Of ten images, eight are of the size of CUB's and two of that of larger iNaturalist ones.
SIZES = [(500, 375)] * 8 + [(800, 600)] * 2
QUALITY = 90
# Amplitudes of natural scenes fall about as 1/f (Field 1987); a bit steeper here, for size.
SLOPE = 1.15


def photograph(width: int, height: int, seed: int) -> bytes:
    """Return a JPEG of about 110 kB at 500 x 375."""
    rng = np.random.default_rng(seed)
    light = _noise(rng, width, height)
    channels = [light + 0.35 * _noise(rng, width, height) for _ in range(3)]
    pixels = np.stack([128 + 55 * (c - c.mean()) / c.std() for c in channels], -1)
    stream = io.BytesIO()
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def album(count: int) -> list[bytes]:
    """Return distinct photographs, in the mix of `SIZES`."""
    return [photograph(*SIZES[seed % len(SIZES)], seed) for seed in range(count)]


def write_photographs(
    folder: Path, count: int, per_class: int, size: tuple[int, int], distinct: int
) -> float:
    """Write photographs and `train.csv` beside them, unless they lie there; return mean kB.

    Args:
        folder: where they go.
        count: of images.
        per_class: images of a class.
        size: width and height in pixels.
        distinct: of so many pictures; the others are copies, which take as long to read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        items.append(Item(path.name, number // per_class, str(number // per_class)))
        if not path.exists() and number < distinct:
            path.write_bytes(photograph(*size, number))
        elif not path.exists():
            shutil.copyfile(folder / f"{number % distinct}.jpg", path)
    write_manifest(folder / "train.csv", items)
    return sum((folder / item.path).stat().st_size for item in items) / count / 1e3


def _noise(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    spectrum = rng.normal(size=(2, *frequency.shape))
    field = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) / frequency**SLOPE, s=(height, width))
    scaled: NDArray[np.float64] = field / field.std()
    return scaled
