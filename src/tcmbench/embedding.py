"""A trained model and a manifest, or any timm model and a folder -> `embeddings.npz`."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, read_json, sha256
from tcmbench.common.paths import keep_apart
from tcmbench.common.precision import float32_products
from tcmbench.common.progress import Progress
from tcmbench.common.records import build
from tcmbench.images.loading import EvaluationView, FixedView, ViewSpec, load_batches, normalize
from tcmbench.images.manifests import Item, read_manifest
from tcmbench.images.sums import read_sums
from tcmbench.images.views import spans, stored_batches
from tcmbench.models.network import EmbeddingModel, ModelSpec, load_tensors
from tcmbench.models.plain import plain_model
from tcmbench.photos.check import require_readable
from tcmbench.photos.listing import labelled

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

    Writes `embeddings` float32 [N, D] with rows of unit norm, `labels` int64 [N], `paths` [N] and
    `weights_sha256`, which says of which model they are. The network computes in float32, whatever
    it was trained in.

    Args:
        run: folder with `model.safetensors` and `run.json`.
        manifest: CSV with path, label, class_name.
        images: folder that the manifest's paths are relative to.
        out: the .npz file to write.
        device: where the network runs.
        view: the same images as `write_view` stored them; gives the same embeddings sooner.

    Raises:
        UserError: a file that is missing, damaged, does not fit or would be overwritten.
    """
    weights = run / "model.safetensors"
    read = [run / "run.json", weights, manifest, view, view and view.with_suffix(".json")]
    keep_apart([out], read)
    record = _record(run / "run.json")
    config = record["config"]
    model = EmbeddingModel(build(ModelSpec, config["model"], f"{run}/run.json: model"))
    load_tensors(model, weights)
    origin = _check_weights(weights, record)
    items = read_manifest(manifest)
    keep_apart([out], (images / item.path for item in items))
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
    _save(out, vectors, items, weights_sha256=np.array(origin))


def embed_photos(
    timm_name: str, weights: Path | None, folder: Path, out: Path, device: torch.device
) -> None:
    """Embed the pictures of a folder with a timm model, sorted by class and path.

    Writes what `embed` does, and `class_names` [N]. A class is a folder in `folder`; its number is
    its place among their names.

    Args:
        timm_name: timm model name; its pooled features are the embeddings.
        weights: a .safetensors file or a checkpoint of torch.save; None: the published weights.
        folder: one folder a class, with the pictures at any depth below it.
        out: the .npz file to write.
        device: where the network runs.

    Raises:
        UserError: as `labelled`, `require_readable` and `plain_model`.
    """
    keep_apart([out], [weights])
    items = labelled(folder)
    require_readable(folder, [item.path for item in items])
    model, transform = plain_model(timm_name, weights)
    view = FixedView([folder / item.path for item in items], transform)
    size, pinned = BATCH[device.type], device.type == "cuda"
    batches = load_batches(view, spans(len(items), size), pinned)
    vectors = embedded(model.to(device).eval(), batches, device, len(items), Tensor.float)
    _save(out, vectors, items, class_names=np.array([item.class_name for item in items]))


def _save(out: Path, vectors: NDArray[np.float32], items: list[Item], **more: Any) -> None:
    # Given a name, NumPy would append .npz where it is missing.
    with atomic_path(out) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            embeddings=vectors,
            labels=np.array([item.label for item in items], dtype=np.int64),
            paths=np.array([item.path for item in items]),
            **more,
        )


def _check_weights(path: Path, record: dict[str, Any]) -> str:
    """Return the SHA-256 of a run's weights, which its record has to name."""
    found = sha256(path)
    if record.get("weights_sha256") not in (None, found):
        raise UserError(
            f"{path} is not the file that run.json beside it describes: it is damaged, or of "
            "another training; remove it and train the run again"
        )
    return found


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
    model: nn.Module,
    batches: Iterable[Tensor],
    device: torch.device,
    count: int,
    prepare: Callable[[Tensor], Tensor] = normalize,
) -> NDArray[np.float32]:
    """Return the embeddings [N, D] of images in float32, the network being on the device.

    Args:
        model: in evaluation mode.
        batches: [B, 3, crop, crop], together `count` images; uint8 for `normalize`.
        device: where the network is.
        count: N, for the time left.
        prepare: what the network takes of a batch on its device.
    """
    vectors = []
    with float32_products(), Progress(count, "images", "embedding") as progress:
        for images in batches:
            vectors.append(model(prepare(images.to(device, non_blocking=True))))
            progress.update(len(images))
    return torch.cat(vectors).cpu().numpy()
