"""In which precision the products of a network are computed."""

import torch

# Automatic mixed precision: the head, the losses and the weights stay float32.
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# What rounds float32 to TF32 in forward passes, and in backward passes. The loss never does.
TF32_FORWARD = ("tf32",)
TF32_BACKWARD = ("tf32", "tf32_backward")
PRECISIONS = ("auto", "float32", "tf32_backward", "tf32", "float16", "bfloat16")
# The cheapest that moves no similarity by a tenth of the losses' temperature, as measured by
# tests/benchmarks/bench_precision.py.
AUTO = "tf32_backward"


def chosen_precision(name: str, device: torch.device) -> str:
    """Return the precision that a device computes in where `name` is asked for.

    A device without TF32 computes in float32 instead; on a processor so does `auto`, and results
    there are the same to the bit on any run.
    """
    wanted = AUTO if name == "auto" else name
    return "float32" if wanted in TF32_BACKWARD and not has_tf32(device) else wanted


def has_tf32(device: torch.device) -> bool:
    """Say whether products of a device can be rounded to TF32: on Ampere and later."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
