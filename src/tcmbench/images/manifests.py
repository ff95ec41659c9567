"""The table of images that every later stage reads: one row an image, with its class."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256

# What `prepare.py` notes beside its tables.
RECORD = "manifest.json"
COLUMNS = ("path", "label", "class_name")


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its path relative to a folder, the dataset's own class id, and the class name."""

    path: str
    label: int
    class_name: str


class Hashes(Protocol):
    """Hashes of images by their paths."""

    def __getitem__(self, path: str, /) -> str:
        """Return the SHA-256 of an image."""


def read_manifest(path: Path | str) -> list[Item]:
    """Read a manifest, in file order; the paths in it are relative to the manifest's own folder.

    Raises:
        UserError: the file is missing, is not what the record beside it describes, is not a table,
            lacks a column, holds no row, holds a row without a path or with a label that is not a
            whole number, or gives a label two class names.
    """
    _check_sum(Path(path))
    try:
        # Spreadsheets begin a table with a byte order mark.
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            items = _rows(path, csv.DictReader(stream))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make it with src/prepare.py") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV table ({error}); make it anew") from None
    if not items:
        raise UserError(f"{path} lists no image; make it anew with src/prepare.py")
    return items


def write_manifest(path: Path, items: Iterable[Item]) -> None:
    """Write items sorted by label and path, so that equal content makes equal bytes."""
    path.write_text(manifest_text(items), encoding="utf-8", newline="")


def manifest_text(items: Iterable[Item], hashes: Hashes | None = None) -> str:
    """Return what `write_manifest` writes, with a column `sha256` where hashes are given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS if hashes is None else (*COLUMNS, "sha256"))
    for item in sorted(items, key=lambda item: (item.label, item.path)):
        row = (item.path, item.label, item.class_name)
        writer.writerow(row if hashes is None else (*row, hashes[item.path]))
    return text.getvalue()


def _check_sum(path: Path) -> None:
    """Refuse a table that was damaged or edited since `prepare.py` noted its hash beside it."""
    record = path.with_name(RECORD)
    if not path.is_file() or not record.is_file():
        return
    noted = read_json(record)
    hashes = noted.get("sha256") if isinstance(noted, dict) else None
    known = hashes.get(path.name) if isinstance(hashes, dict) else None
    if known not in (None, sha256(path)):
        raise UserError(
            f"{path} is not the table that {RECORD} beside it describes: it is damaged or was "
            "edited; remove it and prepare the dataset again, or give a table of your own another "
            "name"
        )


def _rows(path: Path | str, table: "csv.DictReader[str]") -> list[Item]:
    absent = [column for column in COLUMNS if column not in (table.fieldnames or ())]
    if absent:
        raise UserError(
            f"{path} lacks the column '{absent[0]}'; a manifest has {', '.join(COLUMNS)}, parted "
            "by commas"
        )
    items = []
    names: dict[int, str] = {}
    for row in table:
        try:
            label = int(row["label"])
        except (TypeError, ValueError):
            raise UserError(
                f"{path} line {table.line_num}: the label '{row['label']}' is not a whole number; "
                "give each class an integer id"
            ) from None
        if not row["path"] or row["class_name"] is None:
            raise UserError(
                f"{path} line {table.line_num} is incomplete; give it a path, a label and a class "
                "name"
            )
        if names.setdefault(label, row["class_name"]) != row["class_name"]:
            raise UserError(
                f"{path} line {table.line_num} gives the label {label} the class name "
                f"'{row['class_name']}', which has been '{names[label]}' before; give each class "
                "one name"
            )
        items.append(Item(row["path"], label, row["class_name"]))
    return items
