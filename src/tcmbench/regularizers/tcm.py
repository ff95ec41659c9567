"""TCM, the threshold-consistent margin regularizer (arXiv 2307.04047)."""

from math import inf

import torch
from torch import Tensor, nn

from tcmbench.common.errors import UserError
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
        positive, negative = self._hard_pairs(similarity.detach(), labels)
        positives, negatives = positive.sum(), negative.sum()
        # Which pairs are hard is constant for the derivative, so both means are one weighted sum
        # of similarities, whose weights are the gradient; the margins stand outside.
        weights = negative.mul_(self.weight_negative / negatives.clamp(min=1))
        weights -= positive.mul_(self.weight_positive / positives.clamp(min=1))
        return (
            (similarity * weights).sum()
            + self.weight_positive * self.margin_positive * positives.clamp(max=1)
            - self.weight_negative * self.margin_negative * negatives.clamp(max=1)
        )

    def _hard_pairs(self, similarity: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return which pairs are hard positives and which hard negatives, both [B, B], 1 or 0.

        They are numbers because torch works many times faster on them on a CPU than on booleans,
        and masks because picking the pairs out would make a GPU wait for how many there are.
        """
        # Classes numbered below B are exact in the type of the matrix; their names need not be.
        classes = torch.searchsorted(labels.sort().values, labels).to(similarity.dtype)
        same = torch.eq(classes.unsqueeze(1), classes, out=torch.empty_like(similarity))
        negative = torch.ge(similarity, self.margin_negative, out=torch.empty_like(similarity))
        negative.addcmul_(negative, same, value=-1)
        positive = torch.le(similarity, self.margin_positive, out=torch.empty_like(similarity))
        return positive.mul_(same).fill_diagonal_(0), negative


def _checked(name: str, value: float, low: float, high: float) -> float:
    if not isinstance(value, int | float) or not low <= value <= high or value == inf:
        allowed = "at least 0 and finite" if high == inf else f"between {low} and {high}"
        raise UserError(f"{name} must be a number {allowed}, not {value!r}; correct it")
    return value
