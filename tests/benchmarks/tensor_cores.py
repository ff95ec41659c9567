"""A GPU's tensor cores on the processor: rounded factors, sums in float32, rounded results."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
backends = torch.backends
HALVES = (torch.float16, torch.bfloat16)

#: Every product of a network and of its backward pass: the places of its factors, and the switch
#: that lets a GPU round them to TF32. What else it takes, such as a bias, is added in float32.
MATRICES, MAPS = backends.cuda.matmul, backends.cudnn.conv
PRODUCTS = {
    aten.mm.default: ((0, 1), MATRICES),
    aten.bmm.default: ((0, 1), MATRICES),
    aten.addmm.default: ((1, 2), MATRICES),
    aten.baddbmm.default: ((1, 2), MATRICES),
    aten.convolution.default: ((0, 1), MAPS),
    # Two products: the gradient with the weights, and with the input.
    aten.convolution_backward.default: ((0, 1, 2), MAPS),
    # Only of half precision; what is rounded inside is not, see `exact_attention`.
    aten._scaled_dot_product_flash_attention_for_cpu.default: ((0, 1, 2), MATRICES),
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default: ((0, 1, 2, 3), MATRICES),
}


class TensorCores(TorchDispatchMode):
    """Computes products as an Ampere GPU does, and obeys the same switches of torch.

    Factors of half precision are multiplied in float32 and the result is rounded once, which the
    processor's own products are not sure to do. Those of float32 are first rounded to TF32 where
    torch's switches allow it on a GPU. `counts` holds the number of products by kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts = {"float32": 0, "tf32": 0, "half": 0}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            # In inference mode composite operations arrive whole.
            with self:
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        places, switch = PRODUCTS[func]
        kind = args[places[0]].dtype
        if kind in HALVES:
            self.counts["half"] += 1
            return cast(func(*cast(args, torch.float32), **cast(kwargs, torch.float32)), kind)
        rounded = kind == torch.float32 and switch.fp32_precision == "tf32"
        self.counts["tf32" if rounded else "float32"] += 1
        if rounded:
            args = [tf32(arg) if place in places else arg for place, arg in enumerate(args)]
        return func(*args, **kwargs)


def tf32(values: Tensor) -> Tensor:
    """Round float32 to the 10 bits behind the point that TF32 keeps, halves away from zero.

    Source: PTX ISA, instruction `cvt.rna.tf32.f32`.
    """
    bits = values.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def cast(value: Any, kind: torch.dtype) -> Any:
    """Cast what is of half or of single precision, at any depth of tuples and dictionaries."""
    if isinstance(value, tuple | list):
        return type(value)(cast(part, kind) for part in value)
    if isinstance(value, dict):
        return {name: cast(part, kind) for name, part in value.items()}
    if isinstance(value, Tensor) and value.dtype in (*HALVES, torch.float32):
        return value.to(kind)
    return value
