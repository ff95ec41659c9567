"""A trained model and a manifest -> `embeddings.npz`."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tcmbench.files import atomic_path, read_json
from tcmbench.images import EvaluationView, ViewSpec, normalize
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
    config = read_json(run / "run.json")["config"]
    model = EmbeddingModel(build(ModelSpec, config["model"], f"{run}/run.json: model"))
    load_tensors(model, run / "model.safetensors")
    items = read_manifest(manifest)
    spec = build(ViewSpec, config["view"], f"{run}/run.json: view")
    view = EvaluationView([images / item.path for item in items], spec)
    vectors = _embeddings(model.to(device).eval(), view, device)
    with atomic_path(out) as temporary:
        np.savez(
            temporary,
            embeddings=vectors,
            labels=np.array([item.label for item in items], dtype=np.int64),
            paths=np.array([item.path for item in items]),
        )


@torch.inference_mode()
def _embeddings(
    model: EmbeddingModel, view: EvaluationView, device: torch.device
) -> NDArray[np.float32]:
    threads = torch.get_num_threads()
    loader = DataLoader(view, batch_size=BATCH, num_workers=0 if threads < 4 else threads - 1)
    batches = [model(normalize(batch.to(device))).cpu() for batch in loader]
    return torch.cat(batches).numpy()
