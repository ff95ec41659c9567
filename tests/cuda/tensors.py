"""Tensors "on cuda" whose numbers lie in a tensor of the processor, and host memory "pinned"."""

from typing import Any

import torch
from torch import Tensor

CUDA = torch.device("cuda", 0)


class OnGpu(Tensor):
    """A tensor whose device is cuda:0 and whose numbers are in `held`, on the processor."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnGpu":
        shape = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        gpu = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, dtype=held.dtype, device=CUDA, **shape
        )
        gpu.held = held
        return gpu

    def __tensor_flatten__(self):
        # With its inverse, tells torch to move parameters by swapping whole tensors.
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, meta, size, stride):
        return OnGpu(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} on a GPU that is pretended no longer")

    # Torch has these for no class but its own.
    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, *, force=False):
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.cpu().numpy()

    def __reduce_ex__(self, protocol):
        # What torch.load(..., map_location="cpu") makes of it.
        return self.held.__reduce_ex__(protocol)

    def __repr__(self):
        return f"OnGpu({self.held})"


def pinned(values: Tensor) -> bool:
    """Say whether a tensor of the processor lies where a GPU copies from without the host."""
    return getattr(values, "pretended_pinned", False)


def pin(values: Tensor, device: Any = None) -> Tensor:
    """Return a pinned copy."""
    if values.is_cuda:
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors")
    if pinned(values):
        return values
    copy = values.clone()
    copy.pretended_pinned = True
    return copy
