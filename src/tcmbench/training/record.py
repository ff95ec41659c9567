"""What `run.json` says of a finished training."""

import resource
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tcmbench.files import read_json, sha256
from tcmbench.provenance import provenance
from tcmbench.training.settings import Settings

# Of manifest.json, what decides which pixels and labels a training saw.
NOTED = ("layout", "image_cache", "archives")


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
        "data": data_identity(Path(settings.manifest)),
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


def data_identity(manifest: Path) -> dict[str, Any]:
    """Return what a manifest says of itself: its hash, and what `prepare.py` noted beside it.

    A manifest of the user's own has no such note; the keys then are missing.
    """
    identity = {"manifest": str(manifest), "sha256": sha256(manifest)}
    note = manifest.with_name("manifest.json")
    if not note.exists():
        return identity
    noted = read_json(note)
    return identity | {key: noted[key] for key in NOTED if key in noted}


def _rate(curve: list[dict[str, float]]) -> float:
    images = sum(entry["images"] for entry in curve)
    return round(images / sum(entry["seconds"] for entry in curve), 1)


def _peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB (10^6 bytes): of the GPU, or of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
