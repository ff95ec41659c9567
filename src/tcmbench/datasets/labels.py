"""What the label files of several datasets have in common."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Split
from tcmbench.images.manifests import Item


def rows(
    text: str,
    source: str,
    *types: Callable[[str], Any],
    header: bool = False,
    separator: str | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the fields of each line, converted; the last field may hold the separator.

    Fields are separated by white space where no `separator` is given. Empty lines are passed over,
    and so is the first one of a table with a `header`, unless it holds a number: lists that were
    written again may have lost it.

    Raises:
        UserError: a line has too few fields, or a field is not of its type.
    """
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line:
            continue
        first, header = header, False
        try:
            values = line.split(separator, len(types) - 1)
            yield tuple(kind(value) for kind, value in zip(types, values, strict=True))
        except ValueError:
            if first and not any(map(str.isdecimal, line.split(separator))):
                continue
            kinds = ", ".join(kind.__name__ for kind in types)
            raise UserError(
                f"{source} line {number} is '{line[:80]}' where the fields {kinds} are expected; "
                "download the archive again"
            ) from None


def by_id(text: str, source: str, kind: Callable[[str], Any]) -> dict[int, Any]:
    """Return the second field of each line, converted, by its first, which is a number.

    Raises:
        UserError: as `rows`, or two lines have one number.
    """
    found: dict[int, Any] = {}
    for number, value in rows(text, source, int, kind):
        if found.setdefault(number, value) != value:
            raise UserError(
                f"{source} gives the number {number} two values, '{found[number]}' and '{value}'; "
                "it is not the published file, download the archive again"
            )
    return found


def class_name(names: Mapping[int, str], label: int, image: str, source: str) -> str:
    """Return the name of a class, or raise `UserError` if `source` gives an image an unknown one.

    `names` is by class id.
    """
    if label not in names:
        raise UserError(
            f"{source} gives '{image}' the class {label}, but there are names for the classes "
            f"{min(names, default=0)} to {max(names, default=0)} only; the files do not belong "
            "together, download them again"
        )
    return names[label]


def halves(items: Iterable[Item], classes: Collection[int]) -> Split:
    """Give the images of the lower half of the class ids to training, the others to testing.

    The rule of CUB (1-100 / 101-200) and Cars (1-98 / 99-196): pytorch-metric-learning
    datasets/cub.py and cars196.py. Of an odd number of classes, testing gets one more.
    """
    first = set(sorted(classes)[: len(classes) // 2])
    train: list[Item] = []
    test: list[Item] = []
    for item in items:
        (train if item.label in first else test).append(item)
    return Split(train, test)
