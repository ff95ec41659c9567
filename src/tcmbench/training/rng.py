"""Random states of every kind a training can draw from, taken and put back."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Seed torch on every device, NumPy's global generator and Python's."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


def state(device: torch.device) -> dict[str, Any]:
    """Return all random states as tensors, numbers and tuples, which `torch.load` takes safely."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch_state(device),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def set_state(states: dict[str, Any], device: torch.device) -> None:
    """Put back what `state` returned."""
    set_torch_state(states["torch"], device)
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(states["python"])


def torch_state(device: torch.device) -> list[Tensor]:
    """Return the states of torch's generators: the processor's, and that of `device` if a GPU.

    Neither waits for the GPU: its generator's state is a seed and an offset kept by the host.
    """
    gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *gpu]


def set_torch_state(states: list[Tensor], device: torch.device) -> None:
    """Put back what `torch_state` returned."""
    torch.set_rng_state(states[0].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1].cpu(), device)
