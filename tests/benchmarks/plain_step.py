"""The step to compare with: float32, NCHW, Adam, and the losses written as they are published.

Recall@k goes query by query, Smooth-AP through all triples of a batch, as in the official codes
(RS src/losses.py L15-69, SA src/Smooth_AP_loss.py L87-127), but with fewer calls a query than
there: what is gained over this is gained over less than the original.
"""

import torch
from torch import Tensor, nn

from tcmbench.common.precision import float32_products
from tcmbench.images.loading import normalize
from tcmbench.training.settings import Optimization

K_VALUES = (1, 2, 4, 8, 16)


def smooth_ap(embeddings: Tensor, size: int) -> Tensor:
    """Rows class by class, `size` of each; memory B * B * B."""
    similarity = embeddings @ embeddings.T
    above = torch.sigmoid((similarity[:, None, :] - similarity[:, :, None]) / 0.01)
    above = above * (1 - torch.eye(len(embeddings), device=embeddings.device))
    classes = torch.arange(len(embeddings), device=embeddings.device) // size
    own = (classes[:, None] == classes).to(above.dtype)
    ranks = 1 + above.sum(2)
    own_ranks = 1 + (above * own[:, None, :]).sum(2)
    return 1 - (own_ranks / ranks * own).sum(1).div(size).mean()


def recall_at_k(embeddings: Tensor, size: int) -> Tensor:
    """Rows class by class, `size` of each; one query at a time."""
    similarity = embeddings @ embeddings.T
    losses = []
    for query, row in enumerate(similarity):
        first = query - query % size
        positives = [p for p in range(first, first + size) if p != query]
        above = torch.sigmoid((row - row[positives, None]) / 0.01)
        ranks = 1 + above.sum(1) - 0.5  # a positive counts itself with one half
        recalls = [torch.sigmoid(k - ranks).sum().clamp(max=k) / min(k, size - 1) for k in K_VALUES]
        losses.append(1 - torch.stack(recalls).mean())
    return torch.stack(losses).mean()


LOSSES = {"smooth_ap": smooth_ap, "recall_at_k": recall_at_k}


class PlainStep:
    """One optimiser step, in two passes where the batch is larger than a chunk."""

    def __init__(self, model: nn.Module, loss: str, plan: Optimization) -> None:
        self.model = model
        self.loss = LOSSES[loss]
        self.plan = plan
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )

    @float32_products()  # by default, torch rounds a GPU's convolutions to TF32
    def __call__(self, images: Tensor) -> None:
        self.optimizer.zero_grad()
        chunks = images.split(self.plan.chunk_size)
        if len(chunks) == 1:
            self.loss(self.model(normalize(images)), self.plan.samples_per_class).backward()
        else:
            with torch.no_grad():
                embeddings = torch.cat([self.model(normalize(chunk)) for chunk in chunks])
            embeddings.requires_grad_()
            self.loss(embeddings, self.plan.samples_per_class).backward()
            gradients = embeddings.grad.split(self.plan.chunk_size)
            for chunk, gradient in zip(chunks, gradients, strict=True):
                self.model(normalize(chunk)).backward(gradient)
        self.optimizer.step()
