"""What `run.json` says of a finished training."""

import resource
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tcmbench.files import sha256
from tcmbench.provenance import provenance
from tcmbench.training.settings import Settings


def describe(
    settings: Settings,
    model: nn.Module,
    weights: Path,
    device: torch.device,
    curve: list[dict[str, float]],
    seconds: float,
) -> dict[str, Any]:
    """Return the content of `run.json`, which also serves as `train.py --config`.

    Args:
        settings: the run.
        model: the trained network.
        weights: its file, already written.
        device: where it was trained.
        curve: of each epoch the mean of each loss term, the images seen and the seconds.
        seconds: wall time of the whole training, interruptions left out.
    """
    return {
        "config": settings.to_json(),
        "seed": settings.seed,
        **provenance(),
        "data": {"manifest": settings.manifest, "sha256": sha256(settings.manifest)},
        "initial_weights_sha256": None if settings.weights is None else sha256(settings.weights),
        "weights_sha256": sha256(weights),
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": str(device),
        "num_threads": torch.get_num_threads(),
        "wall_time_s": round(seconds, 3),
        "images_per_second": _rate(curve),
        "peak_memory_mb": _peak_memory_mb(device),
        "loss_curve": [entry["total"] for entry in curve],
        "epochs": curve,
    }


def _rate(curve: list[dict[str, float]]) -> float:
    images = sum(entry["images"] for entry in curve)
    return round(images / sum(entry["seconds"] for entry in curve), 1)


def _peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB (10^6 bytes): of the GPU, or of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
