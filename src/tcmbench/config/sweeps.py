"""Swept settings: what a grid varies, and how its points are called in the names of losses.

A point is written behind the loss, as `recall_at_k~batch_size=32,regularizer.margin_positive=0.8`:
it is the part of a run's folder that the loss has, so that a loss without `~` is not swept.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tcmbench.common.errors import UserError

REGULARIZER = "regularizer."
SEPARATOR = "~"

Number = int | float
Point = dict[str, Number]
Grid = Mapping[str, Sequence[Number]]


def points(grids: Sequence[Grid]) -> list[Point]:
    """Return all combinations of each grid's values, grid after grid; without grids, one empty."""
    if not grids:
        return [{}]
    return [
        dict(zip(grid, values, strict=True))
        for grid in grids
        for values in itertools.product(*grid.values())
    ]


def named(loss: str, point: Point) -> str:
    """Return the name of a loss at a point; its own at the empty one."""
    told = ",".join(f"{key}={json.dumps(_plain(value))}" for key, value in sorted(point.items()))
    return f"{loss}{SEPARATOR}{told}" if told else loss


def parsed(name: str) -> tuple[str, Point]:
    """Return the loss and the point that `named` put together.

    Raises:
        UserError: what stands behind the `~` is not such a point.
    """
    loss, _, told = name.partition(SEPARATOR)
    pairs = (part.partition("=") for part in told.split(",") if told)
    try:
        return loss, {key: _number(value) for key, _, value in pairs}
    except ValueError:
        raise UserError(
            f"'{name}' is not a loss at a swept point; it is written loss~setting=number,..."
        ) from None


def leaf(key: str) -> str:
    """Return the name of a setting without its section."""
    return key.removeprefix(REGULARIZER)


def _plain(value: Number) -> Number:
    """Write 1.0 as 1, so that equal values have one name."""
    return int(value) if value == int(value) else value


def _number(text: str) -> Number:
    value = json.loads(text)
    if type(value) not in (int, float):
        raise ValueError(text)
    number: Number = value
    return number


def of_regularizer(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the margin in a point, by their own names."""
    return {leaf(key): value for key, value in point.items() if key.startswith(REGULARIZER)}


def of_recipe(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the recipe in a point."""
    return {key: value for key, value in point.items() if not key.startswith(REGULARIZER)}
