"""Synthetic photographs: JPEGs of the usual sizes, as heavy to decode as real ones."""

from pathlib import Path

import numpy as np
from PIL import Image

from tcmbench.manifests import Item, write_manifest

# Smooth shapes and fine grain; with quality 92 about 100 kB at 500 x 375, 250 kB at 800 x 600.
GRAIN = 14.0
QUALITY = 92


def write_photographs(folder: Path, count: int, per_class: int, size: tuple[int, int]) -> float:
    """Write `count` JPEGs and `train.csv` beside them, unless they lie there; return mean kB.

    Args:
        folder: where they go.
        count: of images.
        per_class: images of a class.
        size: width and height in pixels.
    """
    rng = np.random.default_rng(0)
    items = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number}.jpg"
        items.append(Item(path.name, number // per_class, str(number // per_class)))
        if path.exists():
            continue
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
        pixels = pixels + rng.normal(0, GRAIN, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=QUALITY)
    write_manifest(folder / "train.csv", items)
    return sum((folder / item.path).stat().st_size for item in items) / count / 1e3
