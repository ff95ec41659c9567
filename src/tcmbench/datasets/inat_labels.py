"""The two annotation files of iNaturalist 2018, which are COCO-style JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tcmbench.archives.lookup import read_texts
from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.images.manifests import Item

FILES = ("train2018.json", "val2018.json")
ARCHIVES = tuple(f"{name}.tar.gz" for name in FILES)
ROOT = "train_val2018/"


@dataclass(frozen=True)
class Labels:
    """`classes`: the class id of each image file; `names`, `groups`: by class id.

    The competition obscured the names of its categories, and they are kept as they stand. A group
    is what the files call a supercategory, such as Aves.
    """

    classes: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)

    def item(self, path: str, source: str) -> Item:
        """Return an image with its class; `source` is what lists it.

        Raises:
            UserError: the files give the image no class, or it is outside the image archive.
        """
        label = self.classes.get(path)
        if label is None or label not in self.names or not path.startswith(ROOT):
            raise UserError(
                f"the image '{path}' of {source} has no class in {' and '.join(FILES)}; the files "
                "do not belong together, download them again"
            )
        return Item(path.removeprefix(ROOT), label, self.names[label])


def read_labels(archives: Path) -> Labels:
    """Read both files, each inside its own archive.

    Raises:
        UserError: an archive is damaged, or its file is not the published one.
    """
    labels = Labels()
    for archive, member in zip(ARCHIVES, FILES, strict=True):
        path = in_folder(archives, archive)
        _, (text,) = read_texts(path, "", member)
        try:
            _add(labels, json.loads(text))
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
            raise UserError(
                f"{member} in {path} is not the published file ({error!r}); download it again"
            ) from None
    return labels


def _add(labels: Labels, content: dict[str, Any]) -> None:
    files: dict[Any, str] = {}
    for image in content["images"]:
        _put(files, image["id"], str(image["file_name"]))
    for category in content["categories"]:
        _put(labels.names, int(category["id"]), str(category["name"]))
        _put(labels.groups, int(category["id"]), str(category["supercategory"]))
    for annotation in content["annotations"]:
        _put(labels.classes, files[annotation["image_id"]], int(annotation["category_id"]))


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Add an entry, which may come again only as it was."""
    if table.setdefault(key, value) != value:
        raise ValueError(f"{key!r} is both {table[key]!r} and {value!r}")
