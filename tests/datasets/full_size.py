"""The label files of the four datasets at their published size, or a share of it.

They are made here, in the published layouts, with class sizes drawn so that the counts are the
published ones.
"""

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.datasets.layouts import Members, cars_annotations, text

Sizes = dict[int, int]
# Path in its archive, and class.
Listed = list[tuple[str, int]]


def spread(total: int, classes: range | list[int], low: int, high: int) -> Sizes:
    """Draw a size from low to high for each class so that they sum up to `total`."""
    dice = random.Random(total)
    sizes = dict.fromkeys(classes, low)
    room = dict.fromkeys(classes, high - low)
    open_classes = [label for label in classes if high > low]
    for _ in range(total - low * len(sizes)):
        place = dice.randrange(len(open_classes))
        label = open_classes[place]
        sizes[label] += 1
        room[label] -= 1
        if not room[label]:
            open_classes[place] = open_classes[-1]
            open_classes.pop()
    assert sum(sizes.values()) == total
    return sizes


def by_class(sizes: Sizes) -> list[int]:
    return [label for label, n in sizes.items() for _ in range(n)]


def shuffled(sizes: Sizes) -> list[int]:
    labels = by_class(sizes)
    random.Random(1).shuffle(labels)
    return labels


# Images, classes, and the least and most of a class, as published (protocol, section 5): of the
# training half and of the test half, whose class ids run on.
HALVES = {
    "cub": ((5_864, 100, 41, 60), (5_924, 100, 49, 60)),
    "cars196": ((8_054, 98, 59, 97), (8_131, 98, 48, 136)),
    "sop": ((59_551, 11_318, 2, 12), (60_502, 11_316, 2, 12)),
}


def halves(name: str, share: float = 1) -> tuple[Sizes, Sizes]:
    """Draw the class sizes of both halves; `share` of the published classes and images."""
    found, first = [], 1
    for images, classes, low, high in HALVES[name]:
        number = max(1, round(share * classes))
        total = min(max(round(share * images), number * low), number * high)
        found.append(spread(total, range(first, first + number), low, high))
        first += number
    return found[0], found[1]


def models(number: int) -> list[str]:
    """Name the cars, one of them with the slash that one published name has."""
    names = [f"Make{label} Model 2012" for label in range(1, number + 1)]
    names[min(174, number) - 1] = "Ram C/V Cargo Van 2012"
    return names


def cub_listed(sizes: Sizes) -> Listed:
    """As in the published files, images come by class."""
    return [
        (f"{label:03}.Some_Bird_{label}/Some_Bird_{i:04}_{i * 7}.jpg", label)
        for i, label in enumerate(by_class(sizes), 1)
    ]


def cub(sizes: Sizes) -> dict[str, Members | bytes]:
    listed = [*enumerate(cub_listed(sizes), 1)]
    tables = {
        "images": (f"{i} {path}" for i, (path, _) in listed),
        "image_class_labels": (f"{i} {label}" for i, (_, label) in listed),
        "classes": (f"{label} {label:03}.Some_Bird_{label}" for label in sizes),
    }
    return {"CUB_200_2011.tgz": {f"CUB_200_2011/{n}.txt": text(*t) for n, t in tables.items()}}


def cars_images(sizes: Sizes) -> dict[str, Members | bytes]:
    rows = [*enumerate(shuffled(sizes), 1)]
    return {"cars_annos.mat": cars_annotations(rows, models(len(sizes)))}


def cars_folders(sizes: Sizes) -> dict[str, list[tuple[int, int]]]:
    labels = shuffled(sizes)
    return {"train": [*enumerate(labels[:8_144], 1)], "test": [*enumerate(labels[8_144:], 1)]}


def sop_listed(sizes: Sizes) -> Listed:
    return [
        (f"kind{c % 12}_final/{10**11 + c}_{i}.JPG", c) for i, c in enumerate(by_class(sizes), 1)
    ]


def sop(train: Sizes, test: Sizes) -> dict[str, Members | bytes]:
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for i, (path, c) in enumerate(sop_listed(train | test), 1):
        lines["train" if c in train else "test"].append(f"{i} {c} {c % 12 + 1} {path}")
    header = "image_id class_id super_class_id path"
    root = "Stanford_Online_Products/"
    return {
        "Stanford_Online_Products.zip": {
            f"{root}Ebay_{half}.txt": text(header, *rows) for half, rows in lines.items()
        }
    }


# iNaturalist 2018: classes, training and validation images by supercategory, as stated in
# visipedia/inat_comp 2018/README.md.
TREE = {
    "Plantae": (2_917, 118_800, 8_751),
    "Insecta": (2_031, 87_192, 6_093),
    "Aves": (1_258, 143_950, 3_774),
    "Actinopterygii": (369, 7_835, 1_107),
    "Fungi": (321, 6_864, 963),
    "Reptilia": (284, 22_754, 852),
    "Mollusca": (262, 8_007, 786),
    "Mammalia": (234, 20_104, 702),
    "Animalia": (178, 5_966, 534),
    "Amphibia": (144, 11_156, 432),
    "Arachnida": (114, 4_037, 342),
    "Chromista": (25, 621, 75),
    "Protozoa": (4, 211, 12),
    "Bacteria": (1, 16, 3),
}
INAT_TRAIN_IMAGES = 325_846


@dataclass(frozen=True)
class Species:
    """The classes of iNaturalist: supercategory, size, and which of them are for training."""

    groups: dict[int, str]
    sizes: Sizes
    training: set[int]

    def paths(self) -> dict[int, list[str]]:
        """Name the images of each class."""
        return {
            label: [
                f"train_val2018/{self.groups[label]}/{label}/{label:016x}{i:016x}.jpg"
                for i in range(n)
            ]
            for label, n in self.sizes.items()
        }


def species(order: Callable[[int], int | str] = int, share: float = 1) -> Species:
    """Draw the classes; of each supercategory the first 70 % in this order are for training."""
    counts = {
        name: (max(1, round(share * classes)), round(share * (train + validation)))
        for name, (classes, train, validation) in TREE.items()
    }
    ids = list(range(sum(classes for classes, _ in counts.values())))
    random.Random(2018).shuffle(ids)
    groups: dict[int, str] = {}
    sizes: Sizes = {}
    training: set[int] = set()
    missing = round(share * INAT_TRAIN_IMAGES)
    # The largest supercategory comes last and takes what the others leave.
    for name, (classes, images) in reversed(counts.items()):
        own = sorted((ids.pop() for _ in range(classes)), key=order)
        first, others = own[: int(classes * 0.7)], own[int(classes * 0.7) :]
        images = max(images, 4 * classes)
        part = missing if name == "Plantae" else images * len(first) // classes
        missing -= part
        groups |= dict.fromkeys(own, name)
        training |= set(first)
        # Three images of each class are for validation, so there are four or more in all.
        for half, n in ((first, part), (others, images - part)):
            sizes |= spread(n, half, 4, 10**6) if half else {}
    return Species(dict(sorted(groups.items())), sizes, training)


def inat_files(folder: Path, species: Species) -> None:
    """Write both annotation files and the lists of the split."""
    groups, paths = species.groups, species.paths()
    parts = {
        "train2018": [(path, label) for label, own in paths.items() for path in own[3:]],
        "val2018": [(path, label) for label, own in paths.items() for path in own[:3]],
    }
    categories = [
        {
            **{"id": label, "name": f"{label:064x}", "supercategory": groups[label]},
            **dict.fromkeys(("kingdom", "phylum", "class", "order", "genus"), f"{label:064x}"),
        }
        for label in groups
    ]
    first = 0
    for name, part in parts.items():
        images = ", ".join(
            f'{{"license": 0, "file_name": "{path}", "rights_holder": "Somebody", "width": 800, '
            f'"height": 600, "id": {i}}}'
            for i, (path, _) in enumerate(part, first)
        )
        annotations = ", ".join(
            f'{{"image_id": {i}, "category_id": {label}, "id": {i}}}'
            for i, (_, label) in enumerate(part, first)
        )
        content = (
            f'{{"info": {{"year": 2018}}, "images": [{images}], "licenses": [], '
            f'"annotations": [{annotations}], "categories": {json.dumps(categories)}}}'
        ).encode()
        with tarfile.open(folder / f"{name}.json.tar.gz", "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo(f"{name}.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        first += len(part)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for label, own in paths.items():
        lists["train" if label in species.training else "test"] += own
    with zipfile.ZipFile(folder / "inat_dataset_splits.zip", "w") as bundle:
        for name, lines in lists.items():
            member = f"Inat_dataset_splits/Inaturalist_{name}_set1.txt"
            bundle.writestr(member, "\n".join(lines))
