"""Recall@k surrogate: one minus a smoothed recall at several k (Patel et al. 2022)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tcmbench.common.errors import UserError
from tcmbench.losses._soft_rank import (
    checked_temperature,
    mean_over_queries,
    soft_rank,
)
from tcmbench.members import Members, class_members
from tcmbench.similarity import batch_similarity


class RecallAtK(nn.Module):
    """One minus the mean smoothed recall@k of all queries of a batch and all k.

    For query q with P positives (rows of its class, without q) of smooth rank R (`soft_rank`):
    recall_k(q) = min(sum over positives of sigmoid((k - R) / recall_temperature), k) / min(k, P).

    Source: Patel et al. 2022, arXiv 2108.11179; the official code,
    yash0307/RecallatK_surrogate @ed05202, src/losses.py L15-69 with the settings of src/main.py
    L38-40. As there, the query is counted in the rank of its positives though no retrieval
    returns it, so perfect separation does not reach 0: with 4 rows a class 0.2146 where they are
    identical, 0.2851 where all their similarities differ by more than the temperature.

    The official code needs equal classes in contiguous order, and lowers a k above the batch size
    to it. Here rows stand in any order, each query takes the size of its own class, and k stays.
    A query without a positive is left out of the mean; a batch of such rows alone gives 0.

    Args:
        k_values: the cut-offs, in retrieved images.
        rank_temperature: of the sigmoid in the rank, in units of cosine similarity.
        recall_temperature: of the sigmoid around each k, in ranks.

    Raises:
        UserError: a temperature is not a finite number above 0, or k_values are not whole
            numbers of at least 1.
    """

    def __init__(
        self,
        k_values: Sequence[int] = (1, 2, 4, 8, 16),
        rank_temperature: float = 0.01,
        recall_temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.rank_temperature = checked_temperature("rank_temperature", rank_temperature)
        self.recall_temperature = checked_temperature("recall_temperature", recall_temperature)
        self.k_values = _checked_k_values(k_values)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        similarity: Tensor | None = None,
        members: Members | None = None,
    ) -> Tensor:
        """Return the loss, a scalar in float32 (float64 for float64 input).

        Args:
            embeddings: [B, D], rows of unit norm.
            labels: [B], integers.
            similarity: [B, B], `similarity_matrix(embeddings)` if it is at hand.
            members: `class_members(labels)` if it is at hand.
        """
        similarity, labels = batch_similarity(embeddings, labels, similarity)
        slots, filled = members or class_members(labels)
        # Slot 0 is the query itself, which is no positive of its own.
        positives, is_positive = slots[:, 1:], filled[:, 1:]
        ranks = soft_rank(similarity, positives, self.rank_temperature)
        number = is_positive.sum(1)
        recall = similarity.new_zeros(len(similarity))
        for k in self.k_values:
            inside = torch.sigmoid((k - ranks) / self.recall_temperature) * is_positive
            recall = recall + inside.sum(1).clamp(max=k) / number.clamp(min=1, max=k)
        return mean_over_queries(1 - recall / len(self.k_values), number > 0)


def _checked_k_values(k_values: Sequence[int]) -> tuple[int, ...]:
    whole = isinstance(k_values, Sequence) and all(type(k) is int and k >= 1 for k in k_values)
    if not whole or not k_values:
        raise UserError(f"k_values must be whole numbers of at least 1, not {k_values!r}")
    return tuple(k_values)
