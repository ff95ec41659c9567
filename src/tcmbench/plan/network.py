"""Operations and activations of a network, found by walking through it without its numbers.

torch's fake tensors have shapes and types alone, so ViT-B/16 takes a second on any machine. They
stand on the processor, whose attention and mixed precision save what a GPU's do.
"""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    sdpa_backward_flop,
    sdpa_flop,
)

from tcmbench.images.loading import MEAN
from tcmbench.models.network import EmbeddingModel, ModelSpec
from tcmbench.training.precision import HALVES

BYTES = 4  # of a float32
# Torch 2.11 does not count the attention of a processor.
_ATEN: Any = torch.ops.aten
flop_registry.setdefault(_ATEN._scaled_dot_product_flash_attention_for_cpu, sdpa_flop)
flop_registry.setdefault(
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward, sdpa_backward_flop
)


@dataclass(frozen=True)
class Work:
    """What one image costs in a network, and what the network itself takes.

    Attributes:
        forward: floating-point operations of a forward pass, two for a multiplication and addition.
        backward: those of the backward pass.
        activations: bytes that a forward pass keeps for the backward one, for each image.
        largest: bytes of the largest of them.
        casts: bytes it keeps whatever the number of images: the weights in lower precision.
        weights: bytes of parameters and buffers in float32.
        parameters: number of trained numbers.
    """

    forward: int
    backward: int
    activations: int
    largest: int
    casts: int
    weights: int
    parameters: int


def work_of(spec: ModelSpec, crop: int, precision: str) -> Work:
    """Measure the network of a run; equal questions are answered once.

    Args:
        spec: the network.
        crop: side of its square input, pixels.
        precision: of its products, see `tcmbench.training.precision`.
    """
    return _measured(json.dumps(asdict(spec)), crop, precision)


@functools.cache
def _measured(spec: str, crop: int, precision: str) -> Work:
    with torch.device("meta"):
        model = EmbeddingModel(ModelSpec(**json.loads(spec)))
    return measured(model, crop, precision)


def measured(model: nn.Module, crop: int, precision: str) -> Work:
    """Measure a network on the meta device, of images [B, 3, crop, crop]; see `work_of`."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu").train()
        with FlopCounterMode(display=False) as counter:
            embeddings, kept = _walked(model, 1, crop, precision)
            forward = counter.get_total_flops()
            embeddings.backward(torch.ones_like(embeddings))
            backward = counter.get_total_flops() - forward
        # What grows with a second image is an image's own.
        _, twice = _walked(model, 2, crop, precision)
    own = [two - one for one, two in zip(kept, twice, strict=True)]
    return Work(
        forward=forward,
        backward=backward,
        activations=sum(own),
        largest=max(own),
        casts=sum(kept) - sum(own),
        weights=sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _walked(model: nn.Module, images: int, crop: int, precision: str) -> tuple[Tensor, list[int]]:
    """Return the embeddings of some images, and the bytes of each storage their graph keeps."""
    batch = torch.zeros(images, len(MEAN), crop, crop)
    with saved_bytes(*model.parameters(), *model.buffers()) as saved, _mixed(precision):
        embeddings = model(batch)
    return embeddings, list(saved.values())


@contextmanager
def saved_bytes(*known: Tensor) -> Iterator[dict[Any, int]]:
    """Collect the bytes of each storage that is saved for a backward pass, but those of `known`."""
    # The storages are kept alive, so that no two have the same address.
    own = {tensor.untyped_storage()._cdata for tensor in known}
    found: dict[int, int] = {}
    alive: list[Any] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own | found.keys():
            found[storage._cdata] = storage.nbytes()
            alive.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def _mixed(precision: str) -> torch.autocast:
    half = HALVES.get(precision)
    return torch.autocast("cpu", dtype=half, enabled=half is not None)
