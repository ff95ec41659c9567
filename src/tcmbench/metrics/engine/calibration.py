"""The calibration range: distances at which error rates over all pairs reach given values."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.pairs import Tile
from tcmbench.metrics.engine.rates import squared_cuts

# Non-negative float32 numbers sort like their bits read as an integer, sign bit 0: two passes
# that count the upper and then the lower 16 bits find any order statistic without error. Infinity,
# which marks no pair, begins with 0x7F80 and is not counted.
_UPPER = 0x7F80
_LOWER = 1 << 16

Count = Callable[[Iterable[Tile]], Tensor]


def far_distances(
    rows: LabelledRows,
    far_range: tuple[float, float],
    positives: Iterable[Tile],
    pairs: Iterable[Tile],
) -> tuple[float, float]:
    """Return, for each rate f, the smallest distance where the false accept rate is >= f.

    That is the ceil(f * M)-th smallest of the M negative pairs' distances (each unordered pair
    once, a pair at the distance itself being accepted), exact, without interpolation. The tiles,
    of all positive and of all pairs, are gone over twice.
    """
    return _order_statistics(
        far_ranks(rows, far_range),
        lambda count: count(pairs) - count(positives),
    )


def far_limit(
    rows: LabelledRows, rate: float, positives: Iterable[Tile], pairs: Iterable[Tile]
) -> tuple[float, float]:
    """Return the widest gap of distances in which the false accept rate is not above `rate`.

    Of the M negative pairs, floor(rate * M) may be accepted, so the next one's distance is the
    upper end, exact and itself too far; the lower is the largest distance of any pair before it, 0
    where there is none. The tiles are gone over three times.

    Raises:
        UserError: the rate is less than one pair.
    """
    total = int(rows.negatives.sum()) // 2
    check_measurable("false accept rate", rate, total, "negative")
    rank = math.floor(Fraction(str(rate)) * total) + 1
    over, _ = _order_statistics([rank, rank], lambda count: count(pairs) - count(positives))
    cut = squared_cuts(rows, np.array([over]))
    nearer = (tile.squared[tile.squared < cut] for tile in pairs)
    return math.sqrt(max((float(part.max()) for part in nearer if part.numel()), default=0.0)), over


def far_ranks(rows: LabelledRows, far_range: tuple[float, float]) -> list[int]:
    """Return the ranks (from 1) of the negative pairs at which the rates are reached."""
    total = int(rows.negatives.sum()) // 2
    low, high = _checked("far_range", far_range)
    check_measurable("false accept rate", low, total, "negative")
    return [_rank(Fraction(str(rate)), total) for rate in (low, high)]


def frr_distances(
    rows: LabelledRows, frr_range: tuple[float, float], positives: Iterable[Tile]
) -> tuple[float, float]:
    """Return, nearest first, the smallest distances where the false reject rate is <= f.

    Over the P positive pairs of all classes together: the ceil((1 - f) * P)-th smallest. The
    higher rate is reached at the lower distance.
    """
    total = int(rows.positives.sum())
    low, high = _checked("frr_range", frr_range)
    check_measurable("false reject rate", low, total, "positive")
    ranks = [_rank(1 - Fraction(str(rate)), total) for rate in (high, low)]
    return _order_statistics(ranks, lambda count: count(positives))


def _checked(name: str, rates: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(rate) for rate in rates)
    if not 0 < low < high < 1:
        raise UserError(f"{name} is {low:g} {high:g}; give two rates with 0 < low < high < 1")
    return low, high


def check_measurable(name: str, rate: float, total: int, kind: str) -> None:
    """Refuse a rate below one of the pairs that there are.

    Args:
        name: of the rate, for print.
        rate: 0 to 1.
        total: number of pairs that the rate is a share of.
        kind: of these pairs, for print.

    Raises:
        UserError: the rate is smaller than that of one pair.
    """
    if Fraction(str(rate)) * total < 1:
        raise UserError(
            f"a {name} of {rate:g} is less than one of the {total:,} {kind} pairs there are; the "
            f"smallest rate that they can measure is {1 / total:.3g}: ask for that or more, or "
            "measure more images"
        )


def _rank(share: Fraction, total: int) -> int:
    # A fraction of the decimal as written: 0.07 * 100 is 7.000000000000001 in floating point.
    return math.ceil(share * total)


def _order_statistics(ranks: list[int], counted: Callable[[Count], Tensor]) -> tuple[float, float]:
    """Return the distances of the given ranks (from 1); `counted` applies a counter to all."""
    counts = counted(_upper_counts)
    up_to = counts.cumsum(0)
    uppers = [int(torch.searchsorted(up_to, rank)) for rank in ranks]
    lower = counted(lambda tiles: _lower_counts(tiles, uppers)).cumsum(1)
    found = []
    for rank, upper, row in zip(ranks, uppers, lower, strict=True):
        before = int(up_to[upper] - counts[upper])
        bits = upper * _LOWER + int(torch.searchsorted(row, rank - before))
        squared = torch.tensor(bits, dtype=torch.int32).view(torch.float32).item()
        found.append(math.sqrt(squared))
    return found[0], found[1]


def _upper_counts(tiles: Iterable[Tile]) -> Tensor:
    """Count values by their upper 16 bits."""
    total = torch.zeros(_UPPER, dtype=torch.int64)
    for tile in tiles:
        total += torch.bincount(_bits(tile) >> 16, minlength=_UPPER)[:_UPPER].cpu()
    return total


def _lower_counts(tiles: Iterable[Tile], uppers: list[int]) -> Tensor:
    """Count, for each of the `uppers`, the values that begin so by their lower 16 bits."""
    total = torch.zeros(len(uppers), _LOWER, dtype=torch.int64)
    for tile in tiles:
        bits = _bits(tile)
        for row, upper in zip(total, uppers, strict=True):
            inside = bits[(bits >> 16) == upper]
            row += torch.bincount(inside & (_LOWER - 1), minlength=_LOWER).cpu()
    return total


def _bits(tile: Tile) -> Tensor:
    return tile.squared.view(torch.int32).flatten()
