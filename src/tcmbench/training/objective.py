"""The number that is minimised: a base loss, with or without the margin regularizer."""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tcmbench.common.devices import uploaded
from tcmbench.common.errors import UserError, nearest
from tcmbench.losses import load_loss
from tcmbench.members import class_members
from tcmbench.regularizers.tcm import TCM
from tcmbench.similarity import similarity_matrix
from tcmbench.training.foreign import blamed, checked, independent
from tcmbench.training.settings import LossSpec

# What a base loss is given if it takes it: the similarity matrix, and the rows of each class.
SHARED = {"similarity", "members"}
# What `watched` adds to the terms.
ACTIVE = ("active_positive", "active_negative")


class Objective(nn.Module):
    """Base loss plus, for the variant `tcm`, the Threshold-Consistent Margin.

    The similarity matrix is computed once and shared by the two. A base loss gets of `SHARED` what
    its `forward` takes; those of pytorch-metric-learning are called with embeddings and labels.

    Args:
        loss: the base loss.
        regularizer: arguments of the margin, None for the variant `base`.
        sizes: `num_classes` and `embedding_size`, for a loss whose constructor asks for them.
    """

    def __init__(
        self,
        loss: LossSpec,
        regularizer: dict[str, Any] | None,
        sizes: dict[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss
        file = Path(loss.file) if loss.file else None
        self.base = load_loss(loss.name, loss.params, file, sizes or {}, loss.class_path)
        self.tcm = None if regularizer is None else _margin(regularizer)
        self.shares = SHARED & inspect.signature(self.base.forward).parameters.keys()

    def forward(
        self, embeddings: Tensor, labels: Tensor, watched: bool = False
    ) -> dict[str, Tensor]:
        """Return the terms by name; `total` is the one to minimise.

        All is computed in float32 (float64 for float64 input), also inside autocast.

        Args:
            embeddings: rows of unit norm, [B, D].
            labels: [B], from 0 to the number of classes of the training split less one; on the
                host, so that a GPU is not waited for.
            watched: with the margin, also return which shares of the positive and of the negative
                pairs are active, as `active_positive` and `active_negative`, 0 to 1.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            if embeddings.dtype != torch.float64:
                embeddings = embeddings.float()
            return self._terms(embeddings, labels, watched)

    def _terms(self, embeddings: Tensor, labels: Tensor, watched: bool) -> dict[str, Tensor]:
        shared: dict[str, Any] = {}
        if "members" in self.shares:
            shared["members"] = class_members(labels, embeddings.device)
        labels = uploaded(labels, embeddings.device)
        if self.tcm is None and "similarity" not in self.shares:
            return {"total": self._base(embeddings, labels, **shared)}
        similarity = similarity_matrix(embeddings)
        if "similarity" in self.shares:
            shared["similarity"] = similarity
        base = self._base(embeddings, labels, **shared)
        if self.tcm is None:
            return {"total": base}
        margin = self.tcm(embeddings, labels, similarity=similarity)
        active = _active_shares(similarity.detach(), labels, self.tcm) if watched else {}
        return {"total": base + margin, "base": base, "tcm": margin, **active}

    def _base(self, embeddings: Tensor, labels: Tensor, **shared: Tensor) -> Tensor:
        with blamed(self.loss):
            value = self.base(embeddings, labels, **shared)
        return checked(self.loss, value, embeddings)

    def gradient(self, total: Tensor, embeddings: Tensor) -> Tensor:
        """Go backward from the number to minimise; return its gradient at the embeddings, [B, D].

        Raises:
            UserError: the base loss has none.
        """
        with blamed(self.loss):
            total.backward()
        if embeddings.grad is None:
            raise independent(self.loss)
        return embeddings.grad


def _active_shares(similarity: Tensor, labels: Tensor, margin: TCM) -> dict[str, Tensor]:
    negative = labels.unsqueeze(1) != labels
    positive = (~negative).fill_diagonal_(False)
    shares = (
        (positive & (similarity <= margin.margin_positive)).sum() / positive.sum().clamp(min=1),
        (negative & (similarity >= margin.margin_negative)).sum() / negative.sum().clamp(min=1),
    )
    return dict(zip(ACTIVE, shares, strict=True))


def _margin(params: dict[str, Any]) -> TCM:
    known = inspect.signature(TCM).parameters
    for name in params:
        if name not in known:
            raise UserError(f"the regularizer has no parameter '{name}'; {nearest(name, known)}")
    return TCM(**params)
