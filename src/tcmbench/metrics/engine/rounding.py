"""How far float32 products are from exact ones: what is sure, and what is seen."""

import torch

from tcmbench.metrics.engine.inputs import LabelledRows

_SAMPLED_ROWS = 256
# A share of pairs that is this many times one in the sample's size escapes it once in 20,000 times.
_UNSEEN = 10


def summing_bound(width: int) -> float:
    """Return what a float32 sum of D products of |x| |y| = 1 surely is within, in any order.

    D u / (1 - D u) with u = 2^-24 (Higham 2002, section 3.1): 3.1e-5 for D = 512.
    """
    units = width * 2.0**-24
    return units / (1 - units)


def quantile_rounding(rows: LabelledRows) -> float:
    """Return by how much the rounding of products moves an order statistic of all similarities.

    The sure bound is thirty times what is promised of the range's ends, and a hundred times what
    happens. So a sample of pairs is multiplied in float64 too. No order statistic moves by more
    than the largest error seen, if not for the few pairs with a larger one: at most 10 in the
    number sampled (with probability 1 - 5e-5), of which only those within the sure bound of the
    statistic change sides; where pairs lie evenly over so short a stretch, that is as far as
    their share of the stretch. The float64 products are exact (see `inputs`).
    """
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    chosen = chosen[: 2 * _SAMPLED_ROWS].to(rows.unit.device)
    left, right = rows.unit[chosen].tensor_split(2)
    error = (torch.mm(left, right.T).double() - left.double() @ right.double().T).abs()
    unseen = min(_UNSEEN / error.numel(), 1)
    return float(error.max()) + 2 * unseen * summing_bound(rows.unit.shape[1])
