"""A dataset of one's own: its pictures, and which of its classes are trained on."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.config.own import images_folder
from tcmbench.config.schema import Config
from tcmbench.datasets.base import Split
from tcmbench.images.manifests import Item
from tcmbench.photos.sources import HALVES, Picture, of_folder, of_table, told

# Two in each half: with one class there is nothing to be told apart.
LEAST_CLASSES = 4
# One image of a class has no other to be found by.
LEAST_IMAGES = 2

Key = tuple[str, str]


@dataclass(frozen=True)
class Listing:
    """The pictures below `images`, in two halves of whole classes.

    `rule` says in words how they were parted; `others` are files that were passed over.
    """

    images: Path
    split: Split
    rule: str
    others: list[str]

    @property
    def sizes(self) -> list[int]:
        """Count the images of each training class, in the order of their names."""
        return [count for _, count in sorted(Counter(i.label for i in self.split.train).items())]


def listed(entry: Config) -> Listing:
    """Read a dataset of `datasets` in config.yaml.

    Raises:
        UserError: as `of_folder`, `of_table` and `check_classes`, or a class is in both halves.
    """
    images = images_folder(entry)
    pictures, others = _found(entry, images)
    place = entry.get("folder") or entry["table"]
    labels = numbered(pictures)
    train, rule = _training(entry, place, pictures, list(labels))
    halves: tuple[list[Item], list[Item]] = [], []
    for one in pictures:
        key = (one.label, one.class_name)
        halves[key not in train].append(Item(one.path, labels[key], one.class_name))
    split = Split(*halves)
    check_classes(split, place)
    return Listing(images, split, rule, others)


def labelled(folder: Path) -> list[Item]:
    """Return all pictures of a folder of folders, sorted by class and path.

    Raises:
        UserError: as `of_folder`, or there is no picture.
    """
    pictures, _ = of_folder(folder)
    if not pictures:
        raise UserError(f"{folder} has no folder with a picture; give one that has one a class")
    labels = numbered(pictures)
    items = (Item(one.path, labels[one.label, one.class_name], one.class_name) for one in pictures)
    return sorted(items, key=lambda item: (item.label, item.path))


def numbered(pictures: Sequence[Picture]) -> dict[Key, int]:
    """Number the classes from 0, whole numbers by their value, other names by their letters.

    A name counts in its composed form, so that a Mac and Linux sort alike.
    """
    keys = {(one.label, one.class_name) for one in pictures}
    if all(_is_number(name) for _, name in keys):
        ordered = sorted(keys, key=lambda key: (int(key[1]), key))
    else:
        ordered = sorted(keys, key=lambda key: (unicodedata.normalize("NFC", key[1]), key))
    return {key: number for number, key in enumerate(ordered)}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _found(entry: Config, images: Path) -> tuple[list[Picture], list[str]]:
    if "folder" in entry:
        return of_folder(images)
    return of_table(Path(entry["table"]), images), []


def check_classes(split: Split, place: str) -> None:
    """Make sure that there is something to be trained on, and something to be told apart.

    Args:
        split: two halves without a class in common.
        place: where the images are from, for the message.

    Raises:
        UserError: fewer than four classes, a class of one picture, or fewer than two classes in a
            half.
    """
    sizes = Counter((item.label, item.class_name) for item in (*split.train, *split.test))
    if len(sizes) < LEAST_CLASSES:
        raise UserError(
            f"{place} has {len(sizes)} classes with pictures, and {LEAST_CLASSES} are the least: "
            "two to train on and two others to test with; add classes"
        )
    small = [name for (_, name), size in sorted(sizes.items()) if size < LEAST_IMAGES]
    if small:
        raise UserError(
            f"{told(small, 'class', 'classes')} too small in {place}: one picture has no other of "
            "its class to be found by; add a second one, or take the class out"
        )
    counts = split.counts()
    if min(counts.train_classes, counts.test_classes) < LEAST_CLASSES // 2:
        raise UserError(
            f"{place} has {counts.train_classes} training and {counts.test_classes} test classes, "
            "and two are the least on either side; change train_share, or the column split"
        )


def _training(
    entry: Config, place: str, pictures: Sequence[Picture], ordered: Sequence[Key]
) -> tuple[set[Key], str]:
    """Return the classes to train on, and in words why those."""
    if pictures and pictures[0].half:
        return _of_column(entry, place, pictures), "as the table's column split says"
    share, seed = entry.get("train_share", 0.5), entry.get("split_seed")
    if seed is not None:
        ordered = sorted(ordered, key=lambda key: _draw(seed, key))
    # 0.29 * 100 is a little less than 29.
    count = int(len(ordered) * share + 1e-9)
    how = "the first by name" if seed is None else f"drawn by split_seed {seed}"
    # Without their number, which a class that is added for testing changes.
    return set(ordered[:count]), f"{100 * share:g} % of the classes are trained on, {how}"


def _draw(seed: int, key: Key) -> bytes:
    """Return a number that is the class's own, so that another class moves no other."""
    return hashlib.sha256(f"{seed}\n{key[0]}\n{key[1]}".encode()).digest()


def _of_column(entry: Config, place: str, pictures: Sequence[Picture]) -> set[Key]:
    if clash := [name for name in ("train_share", "split_seed") if name in entry]:
        raise UserError(f"{place} has a column split, so that {clash[0]} is not for it; remove one")
    train, test = (
        {(one.label, one.class_name) for one in pictures if one.half == half} for half in HALVES
    )
    if shared := sorted(name for _, name in train & test):
        raise UserError(
            f"{told(shared, 'class', 'classes')} both in the training and in the test images of "
            f"{place}; give each class to one of them"
        )
    return train
