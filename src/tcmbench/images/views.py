"""The evaluation view of a split as one file, so that its images are decoded once for all runs.

The file is a NumPy array of uint8 [N, 3, crop, crop] in the manifest's order, with the very pixels
that `EvaluationView` gives; a .json of the same name says which manifest and sizes they are of.
"""

import hashlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap, write_array_header_1_0
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, read_json, sha256
from tcmbench.common.paths import keep_apart
from tcmbench.common.progress import Progress
from tcmbench.common.provenance import provenance, write_record
from tcmbench.images.loading import EvaluationView, ViewSpec, load_batches
from tcmbench.images.manifests import read_manifest
from tcmbench.images.sums import read_sums

BATCH = 64
# Hash of the stored pixels, in the record.
PIXELS = "pixels_sha256"


def write_view(manifest: Path, images: Path, resize: int, crop: int, out: Path) -> None:
    """Decode, resize and crop every image of a manifest into `out`.

    Args:
        manifest: CSV with path, label, class_name.
        images: folder that the manifest's paths are relative to.
        resize: short side before the crop, pixels.
        crop: side of the crop, pixels.
        out: the .npy file to write; its .json is written last.

    Raises:
        UserError: bad input, an image that cannot be read, a disk too small for the file, or an
            input that would be overwritten.
    """
    items = read_manifest(manifest)
    files = [images / item.path for item in items]
    keep_apart([out, out.with_suffix(".json")], [manifest, *files])
    shape = (len(items), 3, crop, crop)
    _clear(out)
    _require_space(out, math.prod(shape))
    # An evaluation view has no chance in it.
    spec = ViewSpec(resize, crop, crop_scale=(1.0, 1.0), flip=0.0)
    view = EvaluationView(files, spec, read_sums(images, items))
    # Plain writing: a full disk is then an error, where a mapped file would end the process.
    with atomic_path(out) as temporary, temporary.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        write_array_header_1_0(stream, header)
        digest = hashlib.sha256()
        with Progress(len(items), "images", "evaluation view") as progress:
            for batch in load_batches(view, spans(len(items), BATCH)):
                pixels = batch.numpy().tobytes()
                stream.write(pixels)
                digest.update(pixels)
                progress.update(len(batch))
    identity = _identity(manifest, len(items), resize, crop)
    record = {**identity, PIXELS: digest.hexdigest(), **provenance()}
    write_record(out.with_suffix(".json"), record)


def stored_batches(
    path: Path, manifest: Path, count: int, spec: ViewSpec, size: int, pinned: bool = False
) -> Iterator[Tensor]:
    """Read a stored view batch by batch, uint8 [B, 3, crop, crop].

    Args:
        path: the .npy file.
        manifest: the manifest that it has to be of, with `count` images.
        count: images of the manifest.
        spec: the view that it has to hold.
        size: images a batch.
        pinned: put the batches where a GPU copies them from fastest.

    Raises:
        UserError: the file is missing or damaged, or is of another manifest or another view; where
            single pixels are damaged, only after the last batch.
    """
    record, pixels = read_json(path.with_suffix(".json")), _mapped(path)
    wanted = _identity(manifest, count, spec.resize, spec.crop)
    noted = record if isinstance(record, dict) else {}
    differing = [key for key in wanted if noted.get(key) != wanted[key]]
    if differing or pixels.shape != (count, 3, spec.crop, spec.crop) or pixels.dtype != np.uint8:
        raise UserError(
            f"{path} does not hold the evaluation view of {manifest}, {spec.resize} to "
            f"{spec.crop} pixels (differing: {', '.join(differing) or 'array'}); make it again "
            "with src/view.py"
        )
    return _whole(path, pixels, size, pinned, record.get(PIXELS))


def _whole(
    path: Path, pixels: NDArray[np.uint8], size: int, pinned: bool, wanted: str | None
) -> Iterator[Tensor]:
    digest = hashlib.sha256()
    for start in range(0, len(pixels), size):
        batch = _read(pixels[start : start + size], pinned)
        digest.update(batch.numpy().data)
        yield batch
    if digest.hexdigest() != wanted:
        raise UserError(
            f"{path} is damaged (its pixels are not those that were stored); make it again with "
            "src/view.py"
        )


def spans(count: int, size: int) -> list[list[int]]:
    """Cut the rows 0 to count - 1 into batches of `size`, the last one of what is left."""
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def _read(pixels: NDArray[np.uint8], pinned: bool) -> Tensor:
    batch = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=pinned)
    batch.numpy()[:] = pixels
    return batch


def _identity(manifest: Path, count: int, resize: int, crop: int) -> dict[str, Any]:
    return {
        "manifest_sha256": sha256(manifest),
        "images": count,
        "resize": resize,
        "crop": crop,
    }


def _clear(out: Path) -> None:
    """Remove what a killed writer left, and the record of the file that is to be replaced."""
    for path in (out.with_suffix(".json"), *out.parent.glob(f".{out.stem}.*{out.suffix}")):
        path.unlink(missing_ok=True)


def _require_space(out: Path, size: int) -> None:
    existing = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(
            f"the evaluation view takes {size / 1e9:,.1f} GB in {out.parent} and {free / 1e9:,.1f} "
            "GB are free; make room, or embed without --view, which decodes the images each time"
        )


def _mapped(path: Path) -> NDArray[np.uint8]:
    try:
        return open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make it with src/view.py") from None
    except OSError:
        raise
    except Exception as error:  # a damaged file makes NumPy's reader raise almost anything
        raise UserError(f"{path} is damaged ({error}); make it again with src/view.py") from None
