"""What `run.json` says of a finished training."""

import sys
from pathlib import Path
from typing import Any

import torch

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256
from tcmbench.common.provenance import portable, provenance
from tcmbench.training.course import WARM_UP, Course
from tcmbench.training.data import TrainingData
from tcmbench.training.engine import Engine
from tcmbench.training.objective import ACTIVE
from tcmbench.training.sampling import unused
from tcmbench.training.scaling import SKIPPED
from tcmbench.training.settings import Settings

# The key of what decided the weights, see `checkpoint.identity`.
IDENTITY = "identity"
# Of manifest.json, what decides which pixels and labels a training saw.
NOTED = ("layout", "image_cache", "archives", "unreadable", "split")


def describe(
    settings: Settings, engine: Engine, course: Course, data: TrainingData, weights: Path
) -> dict[str, Any]:
    """Return the content of `run.json`, which also serves as `train.py --config`.

    Args:
        settings: the run.
        engine: with the trained network.
        course: what was measured; times leave interruptions out.
        data: what was trained on.
        weights: the network's file, already written.
    """
    last = course.curve[-1]
    state = course.state()
    return {
        "config": settings.to_json(),
        "seed": settings.seed,
        **provenance(),
        "data": data_identity(Path(settings.manifest)),
        "unused": unused(data.labels, settings.optimization.samples_per_class),
        "initial_weights_sha256": None if settings.weights is None else sha256(settings.weights),
        "weights_sha256": sha256(weights),
        "num_parameters": sum(parameter.numel() for parameter in engine.model.parameters()),
        "device": str(engine.device),
        "precision": engine.precision,
        SKIPPED: engine.scaling.skipped(),
        "compile": settings.compute.compile,
        "chunk_size": engine.passes.chunk_size,
        "chunk_sizes": course.chunks,
        "num_processes": engine.crew.size,
        "num_threads": torch.get_num_threads(),
        "steps": course.steps,
        "wall_time_s": round(course.wall, 3),
        "images_per_second": round(course.rate(), 1),
        "warm_up_steps": WARM_UP,
        "peak_memory_mb": state["peak_mb"],
        "active_pairs": {name: last[name] for name in ACTIVE if name in last} or None,
        "loss_curve": [entry["total"] for entry in course.curve],
        "epochs": course.curve,
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


def is_finished(folder: Path, identity: dict[str, str]) -> bool:
    """Say whether a folder holds a finished training of this identity, whole by its hash."""
    weights = folder / "model.safetensors"
    try:
        record = read_json(folder / "run.json")
        if not weights.exists() or record.get(IDENTITY) != portable(identity):
            return False
    except (UserError, AttributeError):
        return False
    if sha256(weights) != record.get("weights_sha256"):
        print(f"{weights} is not what its run.json describes; training again", file=sys.stderr)
        return False
    print(f"{folder} holds this very run, finished; nothing is left to do", file=sys.stderr)
    return True
