"""The rules of a pretended GPU.

Operations are computed by the processor's kernels, so values exist. What a GPU would refuse is
refused, and what would make the host wait for it is noted, with the function of the package.
"""

import sys
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from tcmbench.common.sources import PACKAGE
from tests.cuda.tensors import OnGpu, pinned

aten = torch.ops.aten
# How large a result is depends on the values of masks among their indices, not on other indices.
MASKABLE = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
MASKABLE |= {aten._index_put_impl_.default, aten._unsafe_index.Tensor}
MASKS = (torch.bool, torch.uint8)
VALUE_DECIDES = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


def _batch_norm(*args):
    return *aten.native_batch_norm(*args), torch.empty(0, dtype=torch.uint8)


def _batch_norm_backward(rows, gradient, weight, mean, var, own_mean, own_scale, epsilon, _):
    saved = (mean, var, own_mean, own_scale)
    wanted = [True, True, True]
    return aten.native_batch_norm_backward(gradient, rows, weight, *saved, True, epsilon, wanted)


# What only a GPU has, by the processor's equals.
EQUALS = {
    aten.cudnn_batch_norm.default: _batch_norm,
    aten.cudnn_batch_norm_backward.default: _batch_norm_backward,
}


class Rules(TorchDispatchMode):
    """Computes what touches the GPU.

    Attributes:
        waits: what made the host wait, and where, in order.
        memory: bytes on the GPU now.
        peak: the most there were.
        generator: the GPU's random numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.memory = self.peak = 0
        self.generator = torch.Generator().manual_seed(0)
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
        target = kwargs.get("device")
        if not any(value.is_cuda for value in tensors) and (
            target is None or torch.device(target).type != "cuda"
        ):
            return _on_host(func, args, kwargs)
        if torch.is_inference_mode_enabled():  # where composite operations come whole
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        copied = _copied(func, args, kwargs)
        if copied is None:
            _check_devices(func, args, tensors)
        self._note(func, args, copied)
        result = self._computed(func, *tree_map(_held, (args, kwargs)))
        to_host = target is not None and torch.device(target).type == "cpu"
        if to_host or (copied and not copied.to_gpu):
            return result
        return self._placed(result, tensors)

    def _computed(self, func, args, kwargs):
        if func in EQUALS:
            return EQUALS[func](*args, **kwargs)
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        before = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        try:
            return func(*args, **kwargs)
        finally:
            self.generator.set_state(torch.get_rng_state())
            torch.set_rng_state(before)

    def _placed(self, result: Any, tensors: list[Tensor]) -> Any:
        known = {id(value.held): value for value in tensors if isinstance(value, OnGpu)}

        def place(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            gpu = known[id(value)] if id(value) in known else OnGpu(value)
            if gpu.shape != value.shape:
                raise NotImplementedError("an operation that changes a shape in place")
            self._count(value)
            return gpu

        return tree_map(place, result)

    def _count(self, held: Tensor) -> None:
        storage = held.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.memory += size
        self.peak = max(self.peak, self.memory)
        weakref.finalize(storage, self._freed, key, size).atexit = False

    def _freed(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.memory -= size

    def _note(self, func, args, copied) -> None:
        """Note an operation after which the host knows something that the GPU computed."""
        what = None
        if copied is None:
            if _needs_values(func, args):
                what = func.name().partition("::")[2]
        elif copied.source.is_cuda:
            what = None if copied.to_gpu else "copy to the host"
        elif not copied.free:
            what = "upload, blocking,"
        elif not pinned(copied.source):
            what = "upload, not pinned,"
        if what:
            self.waits.append(f"{what} in {place()}")


class Copy(NamedTuple):
    """A copy of a tensor; `free` where the host asks not to wait for it."""

    source: Tensor
    to_gpu: bool
    free: bool


def _copied(func: Any, args: Any, kwargs: Any) -> Copy | None:
    if func is aten._to_copy.default:
        target = torch.device(kwargs.get("device") or args[0].device)
        return Copy(args[0], target.type == "cuda", kwargs.get("non_blocking", False))
    if func is aten.copy_.default:
        free = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
        return Copy(args[1], args[0].is_cuda, free)
    return None


def _needs_values(func: Any, args: Any) -> bool:
    """Say whether a result's size, or the result for the host, depends on numbers on the GPU."""
    if func in MASKABLE:
        return any(index is not None and index.dtype in MASKS for index in args[1])
    return bool(VALUE_DECIDES & set(func.tags))


def _on_host(func, args, kwargs):
    wanted = kwargs.pop("pin_memory", None)
    result = func(*args, **kwargs)
    if wanted:
        result.pretended_pinned = True
    return result


def _held(value: Any) -> Any:
    if isinstance(value, OnGpu):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _check_devices(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """Refuse tensors of both devices, but for numbers and a GPU tensor's host indices."""
    if func in MASKABLE and args[0].is_cuda:
        tensors = [args[0], *(value for value in args[2:] if isinstance(value, Tensor))]
    on_gpu = any(value.is_cuda for value in tensors)
    if on_gpu and any(value.dim() and not value.is_cuda for value in tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {func} got cpu and cuda:0"
        )


def place() -> str:
    """Name the innermost function of the package that is running."""
    frame = sys._getframe()
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if PACKAGE in file.parents and not frame.f_code.co_name.startswith("<"):
            return f"{file.relative_to(PACKAGE)} {frame.f_code.co_name}"
        frame = frame.f_back
    return "no file of the package"
