"""Torch's switches for products of float32, which a GPU may round to TF32's 10 bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def float32_products(tf32: bool = False) -> Iterator[None]:
    """Multiply float32 as float32, or on a GPU as TF32, whatever was set before and comes back.

    Torch rounds convolutions to TF32 unless told otherwise, and an environment variable that some
    containers set does the same to matrix products.
    """
    backends: Any = torch.backends  # whose newer switches have no types
    # The newer switches alone: set and put back, they leave the older ones as they were. Torch
    # refuses to read cuDNN's older one where its two newer ones differ.
    gpu = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    switches = (*gpu, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "tf32" if tf32 and switch in gpu else "ieee"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value
