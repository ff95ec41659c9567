"""Smooth ranks of a query's positives: what both rank losses share."""

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tcmbench.common.errors import UserError

# Rows go through in blocks of about this many numbers. A block for each thread stays in a core's
# cache, which halves the time on a CPU; the largest keeps a GPU from being bound by kernel
# launches, and its block from deciding the peak memory.
BLOCK_PER_THREAD = 2**18
LARGEST_BLOCK = 2**23


def soft_rank(scores: Tensor, columns: Tensor, temperature: float) -> Tensor:
    """Return 1 + sum over z != p of sigmoid((s_qz - s_qp) / temperature) for chosen columns p.

    This is the rank of column p among the scores of its row q, 1 for the highest, with the step
    function smoothed (Brown et al. 2020, Smooth-AP, arXiv 2007.12163).

    The [Q, Z, P] differences exist for a block of rows at a time and are computed once more in
    the backward pass, so memory stays at a few times `scores`. The official codes clamp the
    exponent at +-50; that moves a sigmoid by less than 2e-22, so it is not repeated here.

    Args:
        scores: [Q, Z] float32 or float64, one row a query.
        columns: [Q, P] int64, the columns to rank in each row.
        temperature: of the sigmoid, in units of the scores.

    Returns:
        [Q, P] ranks, of the type of `scores`.
    """
    return cast(Tensor, _SoftRank.apply(scores, columns, temperature))


class _SoftRank(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, columns: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(scores, columns)
        ctx.temperature = temperature
        ranks = scores.new_empty(columns.shape)
        for rows in _row_blocks(scores, columns):
            # Column p counts itself with sigmoid(0) = 1/2; half of the 1 is therefore there.
            ranks[rows] = _shares(scores[rows], columns[rows], temperature).sum(2) + 0.5
        return ranks

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        scores, columns = ctx.saved_tensors
        result = torch.empty_like(scores)
        for rows in _row_blocks(scores, columns):
            slopes = _shares(scores[rows], columns[rows], ctx.temperature)
            slopes *= 1 - slopes
            slopes *= gradient[rows].unsqueeze(2) / ctx.temperature
            block = slopes.sum(1)
            result[rows] = block.scatter_add_(1, columns[rows], -slopes.sum(2))
        return result, None, None


def _shares(scores: Tensor, columns: Tensor, temperature: float) -> Tensor:
    """Return [Q, P, Z], how much column z counts as ranked above column p."""
    references = scores.gather(1, columns)
    differences = scores.unsqueeze(1) - references.unsqueeze(2)
    return differences.div_(temperature).sigmoid_()


def _row_blocks(scores: Tensor, columns: Tensor) -> Iterator[slice]:
    block = LARGEST_BLOCK
    if scores.device.type == "cpu":
        block = min(block, BLOCK_PER_THREAD * torch.get_num_threads())
    step = max(1, block // max(1, scores.shape[1] * columns.shape[1]))
    for start in range(0, len(scores), step):
        yield slice(start, start + step)


def mean_over_queries(losses: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of `losses` [B] over the `counted` queries [B]; 0 if there is none."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def checked_temperature(name: str, value: float) -> float:
    """Return `value` if it can be a temperature.

    Raises:
        UserError: it is not a finite number above 0.
    """
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UserError(f"{name} must be a finite number above 0, not {value!r}; correct it")
    return value
