"""A trained model and a manifest -> `embeddings.npz`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.errors import UserError
from tcmbench.files import atomic_path, read_json
from tcmbench.images import EvaluationView, ViewSpec, load_batches, normalize
from tcmbench.manifests import read_manifest
from tcmbench.models import EmbeddingModel, ModelSpec, load_tensors
from tcmbench.records import build

BATCH = 128


def embed(run: Path, manifest: Path, images: Path, out: Path, device: torch.device) -> None:
    """Embed the images of a manifest, in its order, with the model of a run.

    Writes `embeddings` float32 [N, D] with rows of unit norm, `labels` int64 [N] and `paths` [N].

    Args:
        run: folder with `model.safetensors` and `run.json`.
        manifest: CSV with path, label, class_name.
        images: folder that the manifest's paths are relative to.
        out: the .npz file to write.
        device: where the network runs.

    Raises:
        UserError: a file that is missing, damaged or does not fit.
    """
    config = _config(run / "run.json")
    model = EmbeddingModel(build(ModelSpec, config["model"], f"{run}/run.json: model"))
    load_tensors(model, run / "model.safetensors")
    items = read_manifest(manifest)
    spec = build(ViewSpec, config["view"], f"{run}/run.json: view")
    view = EvaluationView([images / item.path for item in items], spec)
    vectors = _embeddings(model.to(device).eval(), view, device)
    # Given a name, NumPy would append .npz where it is missing.
    with atomic_path(out) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            embeddings=vectors,
            labels=np.array([item.label for item in items], dtype=np.int64),
            paths=np.array([item.path for item in items]),
        )


def _config(path: Path) -> dict[str, Any]:
    record = read_json(path)
    config = record.get("config") if isinstance(record, dict) else None
    if not isinstance(config, dict) or not {"model", "view"} <= config.keys():
        raise UserError(
            f"{path} is not the record of a training; name the folder of a finished run"
        )
    return config


@torch.inference_mode()
def _embeddings(
    model: EmbeddingModel, view: EvaluationView, device: torch.device
) -> NDArray[np.float32]:
    rows = range(len(view))
    batches = [list(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]
    vectors = [model(normalize(images.to(device))).cpu() for images in load_batches(view, batches)]
    return torch.cat(vectors).numpy()
