"""A trained model and a manifest -> `embeddings.npz`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, read_json, sha256
from tcmbench.common.origin import note_origin
from tcmbench.common.precision import float32_products
from tcmbench.common.progress import Progress
from tcmbench.common.records import build
from tcmbench.images.loading import EvaluationView, ViewSpec, load_batches, normalize
from tcmbench.images.manifests import read_manifest
from tcmbench.images.sums import read_sums
from tcmbench.images.views import spans, stored_batches
from tcmbench.models.network import EmbeddingModel, ModelSpec, load_tensors

# Images at once, by device: a GPU is only kept busy by many.
BATCH = {"cpu": 128, "cuda": 512}


def embed(
    run: Path,
    manifest: Path,
    images: Path,
    out: Path,
    device: torch.device,
    view: Path | None = None,
) -> None:
    """Embed the images of a manifest, in its order, with the model of a run.

    Writes `embeddings` float32 [N, D] with rows of unit norm, `labels` int64 [N] and `paths` [N].
    The network computes in float32, whatever it was trained in.

    Args:
        run: folder with `model.safetensors` and `run.json`.
        manifest: CSV with path, label, class_name.
        images: folder that the manifest's paths are relative to.
        out: the .npz file to write.
        device: where the network runs.
        view: the same images as `write_view` stored them; gives the same embeddings sooner.

    Raises:
        UserError: a file that is missing, damaged or does not fit.
    """
    record = _record(run / "run.json")
    config, weights = record["config"], run / "model.safetensors"
    model = EmbeddingModel(build(ModelSpec, config["model"], f"{run}/run.json: model"))
    load_tensors(model, weights)
    _check_weights(weights, record)
    items = read_manifest(manifest)
    spec = build(ViewSpec, config["view"], f"{run}/run.json: view")
    size, pinned = BATCH[device.type], device.type == "cuda"
    if view is None:
        files = EvaluationView(
            [images / item.path for item in items], spec, read_sums(images, items)
        )
        batches = load_batches(files, spans(len(items), size), pinned)
    else:
        batches = stored_batches(view, manifest, len(items), spec, size, pinned)
    vectors = embedded(model.to(device).eval(), batches, device, len(items))
    # Given a name, NumPy would append .npz where it is missing.
    with atomic_path(out) as temporary:
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                embeddings=vectors,
                labels=np.array([item.label for item in items], dtype=np.int64),
                paths=np.array([item.path for item in items]),
            )
        note_origin(temporary, record.get("weights_sha256"))


def _check_weights(path: Path, record: dict[str, Any]) -> None:
    if record.get("weights_sha256") not in (None, sha256(path)):
        raise UserError(
            f"{path} is not the file that run.json beside it describes: it is damaged, or of "
            "another training; remove it and train the run again"
        )


def _record(path: Path) -> dict[str, Any]:
    record = read_json(path)
    config = record.get("config") if isinstance(record, dict) else None
    if not isinstance(config, dict) or not {"model", "view"} <= config.keys():
        raise UserError(
            f"{path} is not the record of a training; name the folder of a finished run"
        )
    return dict(record)


@torch.inference_mode()
def embedded(
    model: EmbeddingModel, batches: Iterable[Tensor], device: torch.device, count: int
) -> NDArray[np.float32]:
    """Return the embeddings [N, D] of images in float32, the network being on the device.

    Args:
        model: in evaluation mode.
        batches: uint8 [B, 3, crop, crop], together `count` images.
        device: where the network is.
        count: N, for the time left.
    """
    vectors = []
    with float32_products(), Progress(count, "images", "embedding") as progress:
        for images in batches:
            vectors.append(model(normalize(images.to(device, non_blocking=True))))
            progress.update(len(images))
    return torch.cat(vectors).cpu().numpy()
