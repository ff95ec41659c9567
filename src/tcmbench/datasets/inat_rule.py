"""The class split of iNaturalist 2018 without its lists, by the rules that may have made them.

The published numbers of classes, 5,690 and 2,452, are what comes out if floor(0.7 n) of the n
classes of each supercategory are for training (rounding to the nearest or up gives 5,702 or more).
Which ones is not published; here are the two orders that need no random numbers. Whether one of
them gives the published numbers of images too is seen only with the real annotation files.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Counts

ORDERS: dict[str, Callable[[int], Any]] = {"numeric": int, "lexicographic": str}


def training_classes(groups: Mapping[int, str], order: Callable[[int], Any]) -> set[int]:
    """Return the first floor(0.7 n) class ids of each group of n, in the order of a sort key."""
    members: dict[str, list[int]] = defaultdict(list)
    for label in sorted(groups, key=order):
        members[groups[label]].append(label)
    return {label for own in members.values() for label in own[: 7 * len(own) // 10]}


def choose(
    groups: Mapping[int, str], classes: Collection[int], expected: Counts
) -> tuple[set[int], str]:
    """Return the training classes of the one rule that gives exactly the expected counts.

    Args:
        groups: the supercategory of each class id.
        classes: the class id of each image.
        expected: the images and classes that both halves have to have.

    Returns:
        The class ids, and a sentence that says which rule gave them.

    Raises:
        UserError: no rule gives these counts, or two rules do with different classes.
    """
    sizes = Counter(classes)
    found = {name: training_classes(groups, order) for name, order in ORDERS.items()}
    differences = {
        name: _counts(train, sizes).differences(expected) for name, train in found.items()
    }
    exact = [name for name, differing in differences.items() if not differing]
    if not exact:
        tried = "; ".join(f"{name}: {', '.join(each)}" for name, each in differences.items())
        raise UserError(
            "without the lists of the split two rules were tried, and neither rule gives the "
            f"published counts ({tried}); get inat_dataset_splits.zip"
        )
    if any(found[name] != found[exact[0]] for name in exact):
        raise UserError(
            "without the lists of the split two rules were tried, and both give the published "
            f"counts with different classes ({' and '.join(exact)}); get inat_dataset_splits.zip"
        )
    return found[exact[0]], (
        "split by rule, without the published lists: training has the first floor(0.7 n) of the n "
        f"class ids of each supercategory in {' and in '.join(exact)} order, which gives the "
        "expected counts"
    )


def _counts(train: set[int], sizes: Mapping[int, int]) -> Counts:
    inside = [n for label, n in sizes.items() if label in train]
    outside = [n for label, n in sizes.items() if label not in train]
    return Counts(sum(inside), len(inside), sum(outside), len(outside))
