"""What one pass over the pairs leaves behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.inputs import LabelledRows


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all negative pairs.

    Attributes:
        by_group: [G, M] pairs with one image in the group, in each bin; the groups are the classes
            of two images or more in ascending order, and last all classes of one image.
        fine: [F] pairs in each cell of the fine ranges, each pair once.
        ahead: [2, N] for each row, how many similarities are above its two limits.
    """

    by_group: NDArray[Any]
    fine: NDArray[np.int64]
    ahead: Tensor


def added(parts: Sequence[Totals]) -> Totals:
    """Return the counts of all parts together."""
    first, *others = parts
    ahead = first.ahead
    for part in others:
        ahead = ahead + part.ahead.to(ahead.device)
    return Totals(
        by_group=sum((part.by_group for part in others), first.by_group),
        fine=sum((part.fine for part in others), first.fine),
        ahead=ahead,
    )


def groups(rows: LabelledRows) -> tuple[NDArray[np.int64], int]:
    """Return the group [N] of each row, and the number of groups."""
    kept = rows.sizes >= 2
    count = int(kept.sum())
    group_of_class = np.where(kept, kept.cumsum() - 1, count)
    return np.repeat(group_of_class, rows.sizes), count + 1


def most(rows: LabelledRows) -> int:
    """Return a number of pairs that no bin of a group can exceed."""
    alone = int((rows.sizes == 1).sum())
    return max(int(rows.negatives.max()), alone * len(rows))
