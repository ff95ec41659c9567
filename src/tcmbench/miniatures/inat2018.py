"""Miniature of iNaturalist 2018: numbers of two and three digits in clutter, long-tailed."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcmbench.miniatures.archive import Miniature, tar_gz, zipped
from tcmbench.miniatures.photographs import Subject, counts, draw_numbers, photographs
from tcmbench.miniatures.render import Style
from tcmbench.miniatures.scans import Split

STYLE = Style(
    height=60,
    width=48,
    papers=(
        (70, 104, 50),  # moss
        (108, 140, 74),  # meadow
        (104, 82, 58),  # earth
        (150, 130, 104),  # stone
        (60, 84, 96),  # pond
        (176, 160, 186),  # petals
        (206, 176, 112),  # straw
    ),
    inks=((250, 246, 226), (255, 226, 120), (255, 190, 200), (20, 22, 18), (70, 14, 40)),
    shade=20,
    noise=9,
    clutter=9,
)
# The fourteen supercategories, in proportions like the real ones: a hundred classes in all.
_CLASSES = {
    "Actinopterygii": 5,
    "Amphibia": 2,
    "Animalia": 3,
    "Arachnida": 2,
    "Aves": 15,
    "Bacteria": 1,
    "Chromista": 2,
    "Fungi": 4,
    "Insecta": 22,
    "Mammalia": 3,
    "Mollusca": 3,
    "Plantae": 33,
    "Protozoa": 1,
    "Reptilia": 4,
}
_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
# Images of the competition's validation list, the same number for every class.
_VALIDATION_IMAGES = 3


@dataclass(frozen=True)
class _Category:
    """One class of the data set and its place in the tree of life."""

    label: int
    supercategory: str
    subject: Subject


# Path and JPEG file of every image, by class.
_Images = dict[_Category, list[tuple[str, bytes]]]


def make(rng: np.random.Generator) -> Miniature:
    """Make the images, both annotation files and the lists of the retrieval split.

    Per supercategory of n classes, floor(0.7 n) drawn by chance are training classes, the others
    test classes, as the counts of the public lists show; both annotation files cover both splits.
    """
    images = {each: _photographed(each, rng) for each in _categories(rng)}
    train = {each: own for each, own in images.items() if each.subject.split == "train"}
    test = {each: own for each, own in images.items() if each.subject.split == "test"}
    validation = {each: own[:_VALIDATION_IMAGES] for each, own in images.items()}
    others = {each: own[_VALIDATION_IMAGES:] for each, own in images.items()}
    lists = "Inat_dataset_splits/Inaturalist_{}_set1.txt"
    archives = {
        "train_val2018.tar.gz": tar_gz(dict(_flat(images))),
        "train2018.json.tar.gz": _annotations("train2018", others, 0),
        "val2018.json.tar.gz": _annotations("val2018", validation, len(_flat(others))),
        "inat_dataset_splits.zip": zipped(
            {lists.format("train"): _list(train), lists.format("test"): _list(test)}
        ),
    }
    return Miniature(
        archives, counts([each.subject for each in train], [each.subject for each in test])
    )


def _flat(images: _Images) -> list[tuple[str, bytes]]:
    return [image for own in images.values() for image in own]


def _list(images: _Images) -> bytes:
    return "".join(f"{path}\n" for path, _ in _flat(images)).encode()


def _photographed(category: _Category, rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """Return the path and the JPEG file of each image; its name is a hash, as in the original."""
    folder = f"train_val2018/{category.supercategory}/{category.label}"
    return [
        (f"{folder}/{hashlib.md5(jpeg, usedforsecurity=False).hexdigest()}.jpg", jpeg)
        for jpeg in photographs(category.subject, STYLE, rng)
    ]


def _categories(rng: np.random.Generator) -> list[_Category]:
    total = sum(_CLASSES.values())
    pool = draw_numbers(2, total // 2, rng) + draw_numbers(3, total - total // 2, rng)
    numbers = [pool[place] for place in rng.permutation(total)]
    # A shifted power law of the rank: 40 images for the commonest class, 4 for the rarest.
    sizes = [round(440 / (10 + rank)) for rank in (rng.permutation(total) + 1).tolist()]
    categories: list[_Category] = []
    for supercategory, classes in _CLASSES.items():
        training = set(rng.permutation(classes)[: 7 * classes // 10].tolist())
        for place in range(classes):
            label = len(categories)
            split: Split = "train" if place in training else "test"
            subject = Subject(numbers[label], split, sizes[label])
            categories.append(_Category(label, supercategory, subject))
    return categories


def _annotations(name: str, images: _Images, first_id: int) -> bytes:
    """Return a tar.gz with one COCO-style file, its images numbered from `first_id`."""
    labelled = [(path, each.label) for each, own in images.items() for path, _ in own]
    content = {
        "info": {"description": f"miniature of iNaturalist 2018, {name}", "year": 2018},
        "licenses": [{"id": 1, "name": "CC BY 4.0", "url": ""}],
        "images": [
            {
                "id": number,
                "file_name": path,
                "width": STYLE.width,
                "height": STYLE.height,
                "license": 1,
                "rights_holder": "E. Alpaydin, C. Kaynak",
            }
            for number, (path, _) in enumerate(labelled, start=first_id)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": label}
            for number, (_, label) in enumerate(labelled, start=first_id)
        ],
        "categories": [_described(each) for each in images],
    }
    return tar_gz({f"{name}.json": json.dumps(content).encode()})


def _described(category: _Category) -> dict[str, Any]:
    return {
        "id": category.label,
        "name": f"Number {category.subject.number}",
        "supercategory": category.supercategory,
        **dict.fromkeys(_RANKS, category.supercategory),
    }
