"""TCM, the threshold-consistent margin regularizer (arXiv 2307.04047)."""

from math import inf

import torch
from torch import Tensor, nn

from tcmbench.errors import UserError
from tcmbench.similarity import batch_similarity


class TCM(nn.Module):
    """Pull hard positive pairs above one similarity, and hard negative pairs below another.

    weight_positive * mean of (margin_positive - s) over same-class pairs with s <= margin_positive
    + weight_negative * mean of (s - margin_negative) over other pairs with s >= margin_negative.
    A mean over no pair is 0. The matrix holds each pair twice and the sum and the count alike, so
    ordered and unordered pairs give the same value; a row is not paired with itself.

    Source: arXiv 2307.04047 (default margins and weights: section 5.2); the formula as
    pytorch-metric-learning 2.9.0 has it in losses.ThresholdConsistentMarginLoss, which gathers
    the embeddings of every pair (memory B * B * D). Here it takes B * B.

    Args:
        margin_positive: similarity that positive pairs should exceed, a cosine.
        margin_negative: similarity that negative pairs should stay below, a cosine.
        weight_positive: weight of the positive term.
        weight_negative: weight of the negative term.

    Raises:
        UserError: a margin is not in [-1, 1] or a weight not a finite number of at least 0.
    """

    def __init__(
        self,
        margin_positive: float = 0.9,
        margin_negative: float = 0.5,
        weight_positive: float = 1.0,
        weight_negative: float = 1.0,
    ) -> None:
        super().__init__()
        self.margin_positive = _checked("margin_positive", margin_positive, -1, 1)
        self.margin_negative = _checked("margin_negative", margin_negative, -1, 1)
        self.weight_positive = _checked("weight_positive", weight_positive, 0, inf)
        self.weight_negative = _checked("weight_negative", weight_negative, 0, inf)

    def forward(
        self, embeddings: Tensor, labels: Tensor, similarity: Tensor | None = None
    ) -> Tensor:
        """Return the regularizer, a scalar in float32 (float64 for float64 input).

        Args:
            embeddings: [B, D], rows of unit norm.
            labels: [B], integers.
            similarity: [B, B], `similarity_matrix(embeddings)` if it is at hand.
        """
        similarity, labels = batch_similarity(embeddings, labels, similarity)
        negative = labels.unsqueeze(1) != labels
        positive = (~negative).fill_diagonal_(False)
        hard_positive = positive & (similarity <= self.margin_positive)
        hard_negative = negative & (similarity >= self.margin_negative)
        return self.weight_positive * _mean(
            self.margin_positive - similarity, hard_positive
        ) + self.weight_negative * _mean(similarity - self.margin_negative, hard_negative)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    # A sum over a mask: picking the chosen pairs out would make the GPU wait for their number.
    return torch.where(chosen, values, 0).sum() / chosen.sum().clamp(min=1)


def _checked(name: str, value: float, low: float, high: float) -> float:
    if not isinstance(value, int | float) or not low <= value <= high or value == inf:
        allowed = "at least 0 and finite" if high == inf else f"between {low} and {high}"
        raise UserError(f"{name} must be a number {allowed}, not {value!r}; correct it")
    return value
