"""One optimiser step, in one pass where the batch fits and in two where it does not.

Two passes as in the official Recall@k code (main.py L221-259): embed the batch in chunks without a
graph, take the loss and its gradient on all embeddings, then embed each chunk again with a graph
and push its share of the gradient through. A chunk draws the same random numbers both times, so
the gradients are those of one graph over all chunks, also with dropout and drop path; with frozen
batch norms and neither, they equal those of a single chunk. Live batch norms see a chunk at a
time, as in the official code.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tcmbench.common.precision import float32_products
from tcmbench.images.loading import normalize
from tcmbench.training.objective import Objective
from tcmbench.training.precision import HALVES, TF32_BACKWARD, TF32_FORWARD
from tcmbench.training.rng import set_torch_state, torch_state

Scale = Callable[[Tensor], Tensor]


def unscaled(loss: Tensor) -> Tensor:
    """Take gradients of the loss itself."""
    return loss


@dataclass(frozen=True)
class Passes:
    """How a batch goes through the network.

    Args:
        chunk_size: images embedded at once; a batch no larger takes one pass.
        kept_chunks: chunks that keep their graph from the first pass: no second one for them, at
            the price of their activations. The last chunk of several always goes twice; a graph
            over all of them is what a larger chunk_size is for.
        precision: of the network's products, see `tcmbench.training.precision`.
    """

    chunk_size: int
    kept_chunks: int = 0
    precision: str = "float32"


@float32_products()
def backward(
    model: nn.Module,
    objective: Objective,
    images: Tensor,
    labels: Tensor,
    passes: Passes,
    watched: bool = False,
    scale: Scale = unscaled,
) -> dict[str, Tensor]:
    """Accumulate the gradients of one batch and return the terms of its loss, detached.

    Where `model` is a DistributedDataParallel, each process brings an equal share of one batch,
    and the loss is that of the joint batch in all of them. Its gradients are averaged over the
    processes by `model`, once, and are those that one process has for the joint batch.

    Args:
        model: images [B, 3, H, W] -> embeddings [B, D].
        objective: embeddings and labels -> terms.
        images: uint8, [B, 3, H, W].
        labels: [B], on the host, so that a GPU is not waited for.
        passes: chunks and precision.
        watched: add the shares of active pairs to the terms.
        scale: the loss -> what gradients are taken of.
    """
    chunks = images.split(passes.chunk_size)
    last = len(chunks) - 1
    kept = min(passes.kept_chunks, last) or (last == 0)
    states, outputs = [], []
    for index, chunk in enumerate(chunks):
        states.append(torch_state(images.device))
        with torch.set_grad_enabled(index < kept), _sync(model, index == last):
            outputs.append(embedded(model, chunk, passes.precision))
    terms, gradients = _losses(model, objective, outputs, labels, watched, scale)
    after = torch_state(images.device)
    for index, gradient in enumerate(gradients.split(passes.chunk_size)):
        with _sync(model, index == last):
            if index >= kept:
                set_torch_state(states[index], images.device)
                outputs[index] = embedded(model, chunks[index], passes.precision)
            # Not also the second forward pass: that alone moves gradients by up to 5 %.
            with float32_products(passes.precision in TF32_BACKWARD):
                outputs[index].backward(gradient.to(outputs[index].dtype))
    set_torch_state(after, images.device)
    return terms


def embedded(model: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Embed uint8 images [B, 3, H, W] in a precision, see `tcmbench.training.precision`."""
    half = HALVES.get(precision)
    # A context for each chunk: the casts of the weights that autocast keeps in the first pass,
    # without gradient, must not serve the second.
    mixed = torch.autocast(images.device.type, dtype=half, enabled=half is not None)
    with float32_products(precision in TF32_FORWARD), mixed:
        embeddings: Tensor = model(normalize(images))
    return embeddings


def _losses(
    model: nn.Module,
    objective: Objective,
    outputs: list[Tensor],
    labels: Tensor,
    watched: bool,
    scale: Scale,
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the terms of the joint batch and the gradient at this process's embeddings."""
    own = torch.cat([output.detach() for output in outputs])
    embeddings = own if own.dtype == torch.float64 else own.float()
    parallel = isinstance(model, DistributedDataParallel)
    if parallel:
        embeddings, labels = _gathered(embeddings), _gathered(labels)
    embeddings.requires_grad_()
    terms = objective(embeddings, labels, watched)
    gradient = objective.gradient(scale(terms["total"]), embeddings)
    if parallel:
        # The processes' gradients are averaged, but those of one joint loss add up.
        size, rank = dist.get_world_size(), dist.get_rank()
        gradient = gradient[rank * len(own) : (rank + 1) * len(own)] * size
        for parameter in objective.parameters():
            # Alike already, but for a loss that draws random numbers.
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad.div_(size))
    return {name: term.detach() for name, term in terms.items()}, gradient


def _gathered(values: Tensor) -> Tensor:
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values)
    return torch.cat(parts)


def _sync(model: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """Let processes exchange their gradients after the last backward of a batch alone."""
    if isinstance(model, DistributedDataParallel) and not wanted:
        return model.no_sync()
    return nullcontext()
