"""Smooth-AP: one minus a smoothed average precision (Brown et al. 2020)."""

import torch
from torch import Tensor, nn

from tcmbench.losses._soft_rank import (
    checked_temperature,
    mean_over_queries,
    soft_rank,
)
from tcmbench.members import Members, class_members
from tcmbench.similarity import batch_similarity


class SmoothAP(nn.Module):
    """One minus the mean smoothed average precision of all queries of a batch.

    For query q with class C (q itself included) of n rows:
    AP(q) = 1/n * sum over p in C of R_C(q, p) / R(q, p), where R ranks p among all rows and R_C
    among the rows of C, both with the sigmoid in place of the step (`soft_rank`).

    Source: Brown et al. 2020, arXiv 2007.12163; the official code, Andrew-Brown1/Smooth_AP
    @59927ec, src/Smooth_AP_loss.py L87-127. As there, the query belongs to its own positives and
    to every rank, though no retrieval returns it.

    The official code needs equal classes in contiguous order. Here rows stand in any order and
    each query takes the size of its own class. A query without another row of its class has
    nothing to retrieve and is left out of the mean (the formula would give it an AP near 1, which
    only dilutes the rest); it stays a negative for the others. A batch of such rows alone gives 0.

    Args:
        temperature: of the sigmoid, in units of cosine similarity (official: 0.01).

    Raises:
        UserError: temperature is not a finite number above 0.
    """

    def __init__(self, temperature: float = 0.01) -> None:
        super().__init__()
        self.temperature = checked_temperature("temperature", temperature)

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
        among_all = soft_rank(similarity, slots, self.temperature)
        # An empty slot scores lower than anything, so that it counts in no rank.
        lowest = torch.finfo(similarity.dtype).min
        own_class = similarity.gather(1, slots).masked_fill(~filled, lowest)
        places = torch.arange(slots.shape[1], device=slots.device).expand_as(slots)
        among_class = soft_rank(own_class, places, self.temperature)
        size = filled.sum(1)
        precision = (among_class / among_all * filled).sum(1) / size
        return mean_over_queries(1 - precision, size > 1)
