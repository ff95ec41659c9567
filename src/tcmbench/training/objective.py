"""The number that is minimised: a base loss, with or without the margin regularizer."""

import inspect
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tcmbench.errors import UserError, nearest
from tcmbench.losses import load_loss
from tcmbench.regularizers.tcm import TCM
from tcmbench.similarity import similarity_matrix
from tcmbench.training.settings import LossSpec


class Objective(nn.Module):
    """Base loss plus, for the variant `tcm`, the Threshold-Consistent Margin.

    The similarity matrix is computed once and shared by the two; a base loss whose `forward` takes
    no `similarity`, such as those of pytorch-metric-learning, is called with embeddings and labels.
    """

    def __init__(self, loss: LossSpec, regularizer: dict[str, Any] | None) -> None:
        super().__init__()
        self.base = load_loss(loss.name, loss.params, Path(loss.file) if loss.file else None)
        self.tcm = None if regularizer is None else _margin(regularizer)
        self.shares = "similarity" in inspect.signature(self.base.forward).parameters

    def forward(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the terms by name; `total` is the one to minimise.

        Args:
            embeddings: rows of unit norm, [B, D].
            labels: [B].
        """
        if self.tcm is None and not self.shares:
            return {"total": self.base(embeddings, labels)}
        similarity = similarity_matrix(embeddings)
        shared = {"similarity": similarity} if self.shares else {}
        base = self.base(embeddings, labels, **shared)
        if self.tcm is None:
            return {"total": base}
        margin = self.tcm(embeddings, labels, similarity=similarity)
        return {"total": base + margin, "base": base, "tcm": margin}


def _margin(params: dict[str, Any]) -> TCM:
    known = inspect.signature(TCM).parameters
    for name in params:
        if name not in known:
            raise UserError(f"the regularizer has no parameter '{name}'; {nearest(name, known)}")
    return TCM(**params)
