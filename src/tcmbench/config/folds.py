"""Folds of a dataset's training classes: what a suite with `validation` trains and scores on.

A fold is written behind the dataset, as `cub~fold=1of4`: the part of a run's folder that the
dataset has, so that a dataset without `~` is the published split.
"""

import re
from dataclasses import dataclass
from typing import Any

from tcmbench.common.errors import UserError

PATTERN = r"(?:~fold=\d+of\d+)?"


@dataclass(frozen=True, order=True)
class Fold:
    """The fold `number`, from 1, of `of`: its classes are scored, all others trained on."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of or self.of < 2:
            raise UserError(
                f"there is no fold {self.number} of {self.of}; give at least two folds, and a "
                "number from 1 to theirs"
            )


def named(dataset: str, fold: Fold | None) -> str:
    """Return the name of a dataset's fold; its own without one."""
    return f"{dataset}~fold={fold.number}of{fold.of}" if fold else dataset


def parsed(name: str) -> tuple[str, Fold | None]:
    """Return the dataset and the fold that `named` put together.

    Raises:
        UserError: what stands behind the `~` is not such a fold.
    """
    dataset, found, told = name.partition("~")
    if not found:
        return dataset, None
    numbers = re.fullmatch(r"fold=(\d+)of(\d+)", told)
    if not numbers:
        raise UserError(f"'{name}' is no fold of a dataset; it is written dataset~fold=1of4")
    return dataset, Fold(int(numbers[1]), int(numbers[2]))


def plain(name: str) -> str:
    """Return the dataset of a name, without its fold."""
    return parsed(name)[0]


def of_suite(grid: dict[str, Any]) -> list[str]:
    """Return the datasets of a suite, each as its folds where it validates on them."""
    if "validation" not in grid:
        return list(grid["datasets"])
    of = grid["validation"]["folds"]
    folds = [Fold(number, of) for number in range(1, of + 1)]
    return [named(dataset, fold) for dataset in grid["datasets"] for fold in folds]
