"""Every precision that is compared, as a GPU computes it: by one, or by the processor."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from unittest import mock

import torch
from tensor_cores import TensorCores
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tcmbench.training import precision as choice
from tcmbench.training.precision import HALVES, PRECISIONS

TAIL = ", float32 tail"
#: What `training.precision` can be, and float16 with the last quarter of the network in float32.
WAYS = (*(name for name in PRECISIONS if name != "auto"), f"float16{TAIL}")


def precision_of(way: str) -> str:
    """Return the `training.precision` of a way."""
    return way.removesuffix(TAIL)


@contextmanager
def as_on_a_gpu(way: str, model: nn.Module | None = None) -> Iterator[TensorCores]:
    """Compute a way's products as tensor cores do; a float32 tail needs the model."""
    precision = precision_of(way)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(choice, "has_tf32", return_value=True))
        if precision not in HALVES:
            # As matrix products, which the switches reach; half precision keeps the fused kernel.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if way.endswith(TAIL) and model is not None:
            stack.enter_context(_float32_tail(model, "cpu"))
        yield stack.enter_context(TensorCores())


def on_the_gpu(way: str, model: nn.Module) -> AbstractContextManager[None]:
    """Leave a way's products to the GPU that the model is on."""
    return _float32_tail(model, "cuda") if way.endswith(TAIL) else nullcontext()


@contextmanager
def _float32_tail(model: nn.Module, device: str) -> Iterator[None]:
    """Leave autocast in the last quarter of the stages or of the blocks."""
    backbone = model.backbone
    parts = [backbone.layer4] if hasattr(backbone, "layer4") else list(backbone.blocks)
    parts = parts[-max(1, len(parts) // 4) :]
    for part in parts:
        part.forward = _in_float32(part.forward, device)
    try:
        yield
    finally:
        for part in parts:
            del part.forward


def _in_float32(forward, device: str):
    def computed(inputs: Tensor, *more, **named) -> Tensor:
        with torch.autocast(device, enabled=False):
            return forward(inputs.float(), *more, **named)

    return computed
