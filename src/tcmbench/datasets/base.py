"""What a dataset is: archives to fetch, a reader that makes its split, and published counts."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError, nearest
from tcmbench.common.files import read_json
from tcmbench.images.manifests import Item

MIRRORS = Path(__file__).with_name("mirrors.toml")


@dataclass(frozen=True)
class Archive:
    """One file to fetch. `sha256` decides where it is known, else `md5`.

    `size` is in bytes, None where no exact number is known; it serves progress and estimates.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None


def listed(dataset: str, *names: str) -> tuple[Archive, ...]:
    """Return archives as the table `mirrors.toml` describes them, in the order asked for."""
    table = tomllib.loads(MIRRORS.read_text(encoding="utf-8"))[dataset]
    return tuple(
        Archive(
            name,
            tuple(table[name]["mirrors"]),
            table[name].get("size"),
            table[name].get("sha256"),
            table[name].get("md5"),
        )
        for name in names
    )


@dataclass(frozen=True)
class Counts:
    """How many images and classes the two halves of a split have."""

    train_images: int
    train_classes: int
    test_images: int
    test_classes: int

    def differences(self, expected: "Counts") -> list[str]:
        """Return one phrase for each number that is not the expected one."""
        return [
            f"{mine:,} {name.replace('_', ' ')} instead of {theirs:,}"
            for (name, mine), theirs in zip(
                asdict(self).items(), asdict(expected).values(), strict=True
            )
            if mine != theirs
        ]


@dataclass(frozen=True)
class Split:
    """Training and test images; paths are relative to the folder they were unpacked into."""

    train: list[Item]
    test: list[Item]

    def counts(self) -> Counts:
        """Count the images and classes of both halves."""
        train, test = ({item.label for item in half} for half in (self.train, self.test))
        return Counts(len(self.train), len(train), len(self.test), len(test))

    def check(self, open_world: bool = True) -> None:
        """Refuse a split that cannot be right.

        Args:
            open_world: no class may be in both halves; else both must have the same classes.

        Raises:
            UserError: a half is empty, the classes are not as they must be, a class has two names,
                or an image is listed twice.
        """
        for name, half in (("training", self.train), ("test", self.test)):
            if not half:
                raise UserError(f"the label files list no {name} image; check the archives")
        self._check_classes(open_world)
        self._check_names()
        seen: set[str] = set()
        for item in (*self.train, *self.test):
            if item.path in seen:
                raise UserError(f"the label files list '{item.path}' twice; download them again")
            seen.add(item.path)

    def _check_classes(self, open_world: bool) -> None:
        train, test = ({item.label for item in half} for half in (self.train, self.test))
        shared, single = train & test, train ^ test
        if open_world and shared:
            raise UserError(
                f"class {min(shared)} is in both the training and the test images "
                f"({len(shared)} such classes); the label files are wrong, download them again"
            )
        if not open_world and single:
            raise UserError(
                f"class {min(single)} is not in both the training and the test images "
                f"({len(single)} such classes); the label files are wrong, download them again"
            )

    def _check_names(self) -> None:
        names: dict[int, str] = {}
        for item in (*self.train, *self.test):
            if names.setdefault(item.label, item.class_name) != item.class_name:
                raise UserError(
                    f"class {item.label} has two names, '{names[item.label]}' and "
                    f"'{item.class_name}' (of '{item.path}'); the label files are wrong, download "
                    "them again"
                )


@dataclass(frozen=True)
class Images:
    """Images that lie in one archive: for each of `paths`, the member `root` + path.

    `source` is the label file that lists them, for messages.
    """

    archive: str
    root: str
    paths: Sequence[str]
    source: str


@dataclass(frozen=True)
class Reading:
    """What the label files say; `note`: how the split was found, if the layout does not say it."""

    split: Split
    images: tuple[Images, ...]
    note: str | None = None


@dataclass(frozen=True)
class Layout:
    """One of the forms in which a dataset is passed around.

    `read(folder, counts)` reads the labels in the archives of a folder; `counts` are what the split
    has to have, for a reader that must find out how it was made.
    """

    archives: tuple[Archive, ...]
    read: Callable[[Path, Counts], Reading]


@dataclass(frozen=True)
class Dataset:
    """The description of a dataset; the first layout is the default one.

    `unpacked_bytes` is an estimate (JPEG hardly shrinks, so it is close to the archives' size).
    `open_world` says that no test class occurs in training, as in all but a toy.
    """

    title: str
    licence: str
    licence_url: str
    layouts: Mapping[str, Layout]
    counts: Counts
    unpacked_bytes: int
    open_world: bool = True

    def layout(self, name: str | None = None) -> Layout:
        """Return a layout by its name (None: the default one), or raise `UserError`."""
        if name is None:
            return next(iter(self.layouts.values()))
        if name not in self.layouts:
            raise UserError(f"{self.title} has no layout '{name}'; {nearest(name, self.layouts)}")
        return self.layouts[name]

    def archive(self, name: str) -> Archive:
        """Return the archive of that file name, of any layout, or raise `UserError`."""
        known = {a.name: a for layout in self.layouts.values() for a in layout.archives}
        if name not in known:
            raise UserError(f"{self.title} has no archive '{name}'; {nearest(name, known)}")
        return known[name]

    def expecting(self, path: Path) -> "Dataset":
        """Return this dataset with the hashes and counts of a JSON file in place of the published.

        The file is {"sha256": {archive name: hex}, "counts": {"train_images": n, ...}}; both parts
        may be left out. An archive that it does not name has no known hash.

        Raises:
            UserError: the file is not such an object, or names an archive that does not exist.
        """
        content = _object(read_json(path), path, {"sha256", "counts"})
        names = {a.name for layout in self.layouts.values() for a in layout.archives}
        hashes = _object(content.get("sha256", {}), path, names)
        layouts = {name: _rehashed(layout, hashes) for name, layout in self.layouts.items()}
        if "counts" not in content:
            return replace(self, layouts=layouts)
        wanted = {field.name for field in fields(Counts)}
        numbers = _object(content["counts"], path, wanted)
        if set(numbers) != wanted or not all(type(n) is int for n in numbers.values()):
            raise UserError(f"{path}: counts needs the whole numbers {', '.join(sorted(wanted))}")
        return replace(self, layouts=layouts, counts=Counts(**numbers))


def _rehashed(layout: Layout, hashes: Mapping[str, str]) -> Layout:
    archives = tuple(
        replace(a, size=None, md5=None, sha256=hashes.get(a.name)) for a in layout.archives
    )
    return replace(layout, archives=archives)


def _object(content: Any, path: Path, known: set[str]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object with the keys {', '.join(sorted(known))}")
    for key in content:
        if key not in known:
            raise UserError(f"{path}: unknown key '{key}'; {nearest(key, known)}")
    return content
