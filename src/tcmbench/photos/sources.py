"""Which pictures there are, and of which class: from a folder of folders, or from a table."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tcmbench.common.errors import UserError, nearest

# By the policy of `images.pictures`; what a file is decides its content, later on.
READABLE = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".bmp", ".webp")
# Pictures too, which nothing here decodes: they are named, and not passed over.
UNREADABLE = (".heic", ".heif", ".avif", ".jxl", ".tif", ".tiff", ".dng", ".cr2", ".nef", ".arw")
# Copies that a Mac or a disk station keeps of pictures; hidden folders are passed over as well.
ASIDE = ("__MACOSX", "@eaDir")
HALVES = ("train", "test")
NAMED = 20


class Picture(NamedTuple):
    """A picture: its path below the folder of images, its class, and `train`, `test` or nothing."""

    path: str
    label: str
    class_name: str
    half: str = ""


def of_folder(folder: Path) -> tuple[list[Picture], list[str]]:
    """Return the pictures of a folder, and the files that are none by their names, both sorted.

    A class is a folder in it, with the pictures at any depth below. Links are followed. What is
    hidden is passed over.

    Raises:
        UserError: there is no such folder, a picture is in no class, or a name is no Unicode.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one that has a folder of pictures a class")
    pictures, others, loose = [], [], []
    for path in sorted(_files(folder)):
        first, slash, _ = path.partition("/")
        if Path(path).suffix.lower() not in READABLE + UNREADABLE:
            others.append(path)
        elif slash:
            pictures.append(Picture(path, first, first))
        else:
            loose.append(path)
    if loose:
        raise UserError(
            f"{told(loose, 'picture', 'pictures')} directly in {folder}, in no "
            "class; move them into the folder of one, or give a table"
        )
    return pictures, others


def _files(folder: Path) -> Iterator[str]:
    """Yield the path of each file below a folder; a link that leads back into itself is left."""
    waiting = [(folder, "", frozenset[str]())]
    while waiting:
        here, prefix, above = waiting.pop()
        above |= {os.path.realpath(here)}
        for entry in _entries(here):
            if entry.name.startswith(".") or entry.name in ASIDE:
                continue
            _require_unicode(entry.name, here)
            if not entry.is_dir():
                yield prefix + entry.name
            elif os.path.realpath(entry.path) not in above:
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/", above))


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error.strerror}); check its rights") from None


def _require_unicode(name: str, folder: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the name of {name!r} in {folder} is not valid Unicode; rename it"
        ) from None


def of_table(table: Path, images: Path) -> list[Picture]:
    """Return the pictures of a CSV table, in its order.

    Args:
        table: with the columns `path` and `label`, and perhaps `class_name` and `split`.
        images: folder that the paths start from.

    Raises:
        UserError: the table or a picture is missing, or the table is not such a one.
    """
    try:
        # Spreadsheets begin a table with a byte order mark.
        with table.open(newline="", encoding="utf-8-sig") as stream:
            pictures = list(_rows(table, csv.DictReader(stream)))
    except FileNotFoundError:
        raise UserError(f"{table} does not exist; check the path") from None
    except (csv.Error, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{table} is not a CSV table in UTF-8 ({error}); save it as one") from None
    _check_rows(table, pictures)
    if absent := [one.path for one in pictures if not (images / one.path).is_file()]:
        raise UserError(
            f"{told(absent, 'file', 'files')} of {table} not in {images}; correct "
            "the paths, or the folder"
        )
    return pictures


def _rows(table: Path, rows: "csv.DictReader[str]") -> Iterator[Picture]:
    columns = [name or "" for name in rows.fieldnames or ()]
    for name in ("path", "label"):
        if name not in columns:
            raise UserError(
                f"{table} lacks the column '{name}'; its first line has to name path and label, "
                f"and may name split and class_name, parted by commas, and is '{','.join(columns)}'"
            )
    for row in rows:
        path, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        if not path or not label:
            raise UserError(
                f"{table} line {rows.line_num} is incomplete; give it a path and a label"
            )
        half = (row.get("split") or "").strip().lower()
        if "split" in columns and half not in HALVES:
            raise UserError(
                f"{table} line {rows.line_num} has the split '{half}'; {nearest(half, HALVES)}"
            )
        yield Picture(path, label, (row.get("class_name") or "").strip() or label, half)


def _check_rows(table: Path, pictures: Sequence[Picture]) -> None:
    names: dict[str, str] = {}
    paths: set[str] = set()
    for one in pictures:
        if names.setdefault(one.label, one.class_name) != one.class_name:
            raise UserError(
                f"{table} gives the label '{one.label}' two class names, '{names[one.label]}' and "
                f"'{one.class_name}'; keep one of them"
            )
        if one.path in paths:
            raise UserError(f"{table} lists '{one.path}' twice; keep one of the lines")
        paths.add(one.path)


def told(names: Sequence[str], one: str, many: str) -> str:
    """Name a few of many, as "3 pictures (a, b, c) are"."""
    shown = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    number = f"1 {one}" if len(names) == 1 else f"{len(names):,} {many}"
    return f"{number} ({shown}{more}) {'is' if len(names) == 1 else 'are'}"
