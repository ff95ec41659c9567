"""The one similarity matrix of a batch, that the base loss and the regularizer share."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tcmbench.common.errors import UserError


def similarity_matrix(embeddings: Tensor) -> Tensor:
    """Return the inner products of all rows with all rows, the cosines where rows have unit norm.

    Args:
        embeddings: [B, D]. float64 stays float64; any other type is computed in float32, also
            under autocast: half precision moves a cosine by more than the losses' temperature.

    Returns:
        [B, B], float32 or float64, with the gradient of `embeddings`.
    """
    matrix: Tensor = _Gram.apply(_full_precision(embeddings))
    return matrix


class _Gram(torch.autograd.Function):
    """X Xᵀ, whose gradient G comes back as (G + Gᵀ) X: one product, where autograd takes two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        with torch.autocast(rows.device.type, enabled=False):
            return rows @ rows.T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        with torch.autocast(rows.device.type, enabled=False):
            result: Tensor = (gradient + gradient.T) @ rows
        return result


def batch_similarity(
    embeddings: Tensor, labels: Tensor, similarity: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Check a batch and return its similarity matrix and its labels; NumPy arrays work too.

    Args:
        embeddings: [B, D], rows of unit norm.
        labels: [B], any integer names of the classes, in any order.
        similarity: [B, B], `similarity_matrix(embeddings)` where the caller has it already.

    Returns:
        The matrix [B, B] in float32 or float64, and the labels [B] on the same device.

    Raises:
        UserError: the shapes do not fit together, or the batch is empty.
    """
    embeddings, labels = torch.as_tensor(embeddings), torch.as_tensor(labels)
    size = len(embeddings)
    if embeddings.ndim != 2 or size == 0 or labels.shape != (size,):
        raise UserError(
            f"a loss takes embeddings [B, D] and labels [B] with B of at least 1, not "
            f"{list(embeddings.shape)} and {list(labels.shape)}; pass one label for each row"
        )
    if similarity is None:
        similarity = similarity_matrix(embeddings)
    elif similarity.shape != (size, size):
        raise UserError(
            f"similarity must be [{size}, {size}] for {size} embeddings, not "
            f"{list(similarity.shape)}; pass similarity_matrix(embeddings) or leave it out"
        )
    similarity = _full_precision(torch.as_tensor(similarity))
    return similarity, labels.to(similarity.device)


def _full_precision(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
