"""GPUs by name: their memory and published dense peaks."""

import re
from dataclasses import dataclass, replace

from tcmbench.common.errors import UserError, nearest
from tcmbench.training.precision import AUTO, HALVES, TF32_BACKWARD, TF32_FORWARD


@dataclass(frozen=True)
class Gpu:
    """A GPU as its maker's data sheet describes it.

    Attributes:
        name: as `--gpu` takes it.
        memory: GB (10^9 bytes).
        bfloat16: TFLOP/s of dense products summed up in float32; None where it has no bfloat16.
        float32: TFLOP/s of products in float32, without TF32.
    """

    name: str
    memory: float
    bfloat16: float | None
    float32: float

    def precision(self, wanted: str) -> str:
        """Return what `training.precision` comes to, as in training; TF32 came with bfloat16."""
        named = AUTO if wanted == "auto" else wanted
        return "float32" if named in TF32_BACKWARD and not self.bfloat16 else named

    def peaks(self, precision: str) -> tuple[float, float]:
        """Return TFLOP/s of a network's forward and of its backward pass in a precision.

        TF32 is half as fast as bfloat16 on every GPU of the table; what a GPU only emulates is as
        fast as float32.
        """
        fast = self.bfloat16 or self.float32
        if precision in HALVES:
            return fast, fast
        rounded = max(fast / 2, self.float32)
        forward = rounded if precision in TF32_FORWARD else self.float32
        return forward, rounded if precision in TF32_BACKWARD else self.float32


# NVIDIA's data sheets and architecture papers; peaks with sparsity are halved.
GPUS = (
    Gpu("T4", 16, None, 8.1),
    Gpu("V100", 16, None, 15.7),
    Gpu("RTX A4000", 16, 76.7, 19.2),
    Gpu("RTX 3090", 24, 71, 35.6),
    Gpu("L4", 24, 121, 30.3),
    Gpu("A10", 24, 125, 31.2),
    Gpu("RTX 4090", 24, 165.2, 82.6),
    Gpu("RTX 5090", 32, 209.5, 104.8),
    Gpu("A100", 40, 312, 19.5),
    Gpu("RTX A6000", 48, 154.8, 38.7),
    Gpu("L40S", 48, 362, 91.6),
    Gpu("A100 80GB", 80, 312, 19.5),
    Gpu("H100 PCIe", 80, 756, 51),
    Gpu("H100", 80, 989, 67),
    Gpu("H200", 141, 989, 67),
    Gpu("B200", 180, 2250, 75),
)


def chosen(name: str | None, memory: float | None) -> Gpu:
    """Return the GPU that is meant.

    With a memory alone, it is as fast as the slowest named GPU with bfloat16 of that size, or of
    the next smaller one.

    Args:
        name: of `GPUS`, in any case and with or without its maker and blanks; None for any.
        memory: GB, in place of the table's; None for that.

    Raises:
        UserError: no such GPU, or neither is given.
    """
    if name is not None:
        found = named(name)
        return found if memory is None else replace(found, memory=memory)
    if memory is None:
        raise UserError("the plan needs a GPU; name it by --gpu, or its memory by --gpu-memory GB")
    usual = [gpu for gpu in GPUS if gpu.bfloat16]
    size = max((g.memory for g in usual if g.memory <= memory), default=usual[0].memory)
    alike = min((g for g in usual if g.memory == size), key=lambda g: g.peaks("bfloat16"))
    return Gpu(f"{memory:g} GB, as fast as {alike.name}", memory, alike.bfloat16, alike.float32)


def named(name: str) -> Gpu:
    """Return the GPU of that name.

    Raises:
        UserError: there is none; it names the nearest, or all.
    """
    for gpu in GPUS:
        if plain(gpu.name) == plain(name):
            return gpu
    hint = nearest(name.upper(), [gpu.name for gpu in GPUS])
    raise UserError(f"GPU '{name}' is not in the table; {hint} (any other: --gpu-memory GB)")


def is_device(gpu: Gpu, device: str) -> bool:
    """Say whether a device's name, as torch has it, is that of a GPU or of one with its peak."""
    found = [known for known in GPUS if plain(known.name) in plain(device)]
    best = max(found, key=lambda known: len(known.name), default=None)
    return best is not None and gpu.name.startswith(best.name) and gpu.bfloat16 == best.bfloat16


def plain(name: str) -> str:
    """Return a name in small letters, without maker, blanks and signs."""
    return re.sub(r"nvidia|geforce|tesla|[^a-z0-9]", "", name.lower())
