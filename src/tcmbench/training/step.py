"""One optimiser step, in one pass where the batch fits and in two where it does not.

Two passes as in the official Recall@k code (main.py L221-259): embed the batch in chunks without a
graph, take the loss and its gradient on all embeddings, then embed each chunk again with a graph
and push its share of the gradient through. With frozen batch norms and no dropout the gradients
equal those of one pass.
"""

import torch
from torch import Tensor, nn

from tcmbench.images import normalize
from tcmbench.training.objective import Objective


def backward(
    model: nn.Module, objective: Objective, images: Tensor, labels: Tensor, chunk_size: int
) -> dict[str, Tensor]:
    """Accumulate the gradients of one batch and return the terms of its loss, detached.

    Args:
        model: images [B, 3, H, W] -> embeddings [B, D].
        objective: embeddings and labels -> terms.
        images: uint8, [B, 3, H, W].
        labels: [B].
        chunk_size: images embedded at once; a batch no larger takes one pass.
    """
    if len(images) <= chunk_size:
        terms = objective(model(normalize(images)), labels)
        terms["total"].backward()
        return _detached(terms)
    chunks = images.split(chunk_size)
    with torch.no_grad():
        embeddings = torch.cat([model(normalize(chunk)) for chunk in chunks])
    embeddings.requires_grad_()
    terms = objective(embeddings, labels)
    terms["total"].backward()
    assert embeddings.grad is not None
    for chunk, gradient in zip(chunks, embeddings.grad.split(chunk_size), strict=True):
        model(normalize(chunk)).backward(gradient)
    return _detached(terms)


def _detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: term.detach() for name, term in terms.items()}
