"""Image files to uint8 tensors: the training view with its chance, the evaluation view without.

Decoding is Pillow's, by the policy of `pictures`, and resampling is bilinear, as in the
official code. Normalisation happens on the device, see `normalize`.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import transforms

from tcmbench.common.errors import UserError
from tcmbench.images.pictures import UnreadableError, open_rgb
from tcmbench.images.sums import checksum

# Sixteen decode more images a second than one GPU trains on; more only take memory.
MOST_WORKERS = 16

# Decoded images that a process keeps, pixels (four bytes each): all of a small set, which is then
# read once a training, and a negligible part of a large one.
KEPT_PIXELS = 2**24

# ImageNet statistics for every backbone, as the official code has it (RS datasets.py L299-305).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ViewSpec:
    """Sizes in pixels and the chances of the training view; a part of a run's configuration."""

    resize: int
    crop: int
    crop_scale: tuple[float, float]
    flip: float


class Draw(NamedTuple):
    """One training image to load: its row in the manifest and the seed of its augmentation."""

    row: int
    seed: int


class TrainingView(Dataset[Tensor]):
    """Random resized crops with flips: `view[Draw]` -> uint8 [3, crop, crop].

    A loader asks for a list of draws at once and gets [B, 3, crop, crop], channels last: each image
    is written to its place in the batch as Pillow holds it, which is the one copy that it takes.
    The seed comes with the draw, so pixels depend neither on workers nor on what was drawn before.
    `sums` are the checksums that the files have to have, one each, see `tcmbench.images.sums`.
    """

    def __init__(
        self, paths: Sequence[Path], spec: ViewSpec, sums: Sequence[int | None] = ()
    ) -> None:
        self.files = list(zip_longest(paths, sums))
        self.kept: dict[int, Image.Image] = {}
        self.room = KEPT_PIXELS
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(spec.crop, scale=spec.crop_scale),
                transforms.RandomHorizontalFlip(spec.flip),
            ]
        )
        self.shape = (spec.crop, spec.crop, 3)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, draw: Draw) -> Tensor:
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw]) -> Tensor:
        batch = np.empty((len(draws), *self.shape), dtype=np.uint8)
        with torch.random.fork_rng(devices=[]):
            for pixels, draw in zip(batch, draws, strict=True):
                # `torch.manual_seed` would also seed the GPUs, whose state is not put back.
                torch.default_generator.manual_seed(draw.seed)
                pixels[:] = self.transform(self._decoded(draw.row))
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    def _decoded(self, row: int) -> Image.Image:
        if row in self.kept:
            return self.kept[row]
        image = load_rgb(*self.files[row])
        size = image.width * image.height
        if size <= self.room:
            self.room -= size
            self.kept[row] = image
        return image


class FixedView(Dataset[Tensor]):
    """Images by a transform without chance: `view[i]` is what it makes of one; `sums` as above."""

    def __init__(
        self,
        paths: Sequence[Path],
        transform: Callable[[Image.Image], Tensor],
        sums: Sequence[int | None] = (),
    ) -> None:
        self.files = list(zip_longest(paths, sums))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(load_rgb(*self.files[index]))


class EvaluationView(FixedView):
    """Short side resized, centre cropped: `view[i]` -> uint8 [3, crop, crop]."""

    def __init__(
        self, paths: Sequence[Path], spec: ViewSpec, sums: Sequence[int | None] = ()
    ) -> None:
        steps = (
            transforms.Resize(spec.resize),
            transforms.CenterCrop(spec.crop),
            transforms.PILToTensor(),
        )
        super().__init__(paths, transforms.Compose(steps), sums)


def load_batches(
    view: Dataset[Tensor], batches: Iterable[list[Any]], pinned: bool = False
) -> Iterator[Tensor]:
    """Load images batch by batch, uint8 [B, 3, crop, crop], in the order of `batches`.

    Args:
        view: the images.
        batches: keys of `view`, by batch; taken one by one as they are needed, two ahead of each
            process that decodes.
        pinned: put the batches where a GPU copies them from fastest.

    Raises:
        UserError: an image cannot be read.
    """
    workers = num_workers(torch.get_num_threads())
    # From Python 3.14 on others would be started on Linux, which import all anew and are sent the
    # images that are kept decoded; forked, they share them.
    forked = "fork" if workers and sys.platform == "linux" else None
    try:
        yield from DataLoader(
            view,
            batch_sampler=batches,
            num_workers=workers,
            multiprocessing_context=forked,
            collate_fn=_batch,
            pin_memory=pinned,
        )
    except UserError as error:
        # A worker process hands over its whole traceback, which ends in the sentence.
        raise UserError(str(error).rpartition("UserError: ")[2]) from None


def _batch(images: list[Tensor] | Tensor) -> Tensor:
    """Put images together that are no batch yet."""
    batch: Tensor = images if isinstance(images, Tensor) else default_collate(images)
    return batch


def num_workers(threads: int) -> int:
    """Say how many processes decode images for a job that was given `threads` cores.

    One core computes, the others decode; a few cores do both without another process.
    """
    return 0 if threads < 4 else min(threads - 1, MOST_WORKERS)


def load_rgb(path: Path, known: int | None = None) -> Image.Image:
    """Decode an image file into RGB, by the policy of `tcmbench.images.pictures`.

    Args:
        path: of the file.
        known: the checksum that it has to have, see `tcmbench.images.sums`; None for any.

    Raises:
        UserError: the file is missing, cannot be decoded, or is not the one that was unpacked.
    """
    try:
        content = path.read_bytes()
        image = open_rgb(BytesIO(content))
    except (OSError, UnreadableError) as error:
        raise UserError(
            f"image {path} cannot be read ({error}); prepare the dataset again"
        ) from None
    if known not in (None, checksum(content)):
        raise UserError(
            f"image {path} is damaged (its checksum is not that of the archive's); remove it and "
            "prepare the dataset again"
        )
    return image


def normalize(images: Tensor) -> Tensor:
    """Turn uint8 images [B, 3, H, W] into float32 with ImageNet's mean and deviation."""
    mean, std = _statistics(images.device)
    return (images.float() / 255.0 - mean) / std


@functools.cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    # Once a device: copying numbers to a GPU makes the step wait for it.
    with torch.inference_mode(False):
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STD))
    return mean, std
