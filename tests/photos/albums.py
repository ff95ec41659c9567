"""Pictures of one's own for tests: small PNGs that differ, in folders of any name."""

import csv

import numpy as np
from PIL import Image


def write_picture(path, number=0, side=24):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(256, size=(side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")


def write_album(folder, classes, pictures=3):
    """Write a folder of folders, and return it."""
    for place, name in enumerate(classes):
        for number in range(pictures):
            write_picture(folder / name / f"{number}.png", 100 * place + number)
    return folder


def write_table(path, rows, columns=("path", "label")):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
