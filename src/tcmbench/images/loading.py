"""Image files to uint8 tensors: the training view with its chance, the evaluation view without.

Decoding is Pillow's, by the policy of `pictures`, and resampling is bilinear, as in the
official code. Normalisation happens on the device, see `normalize`.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tcmbench.common.errors import UserError
from tcmbench.images.pictures import UnreadableError, open_rgb

# Sixteen decode more images a second than one GPU trains on; more only take memory.
MOST_WORKERS = 16

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

    The seed comes with the draw, so pixels depend neither on workers nor on what was drawn before.
    """

    def __init__(self, paths: Sequence[Path], spec: ViewSpec) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(spec.crop, scale=spec.crop_scale),
                transforms.RandomHorizontalFlip(spec.flip),
                transforms.PILToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: Draw) -> Tensor:
        image = load_rgb(self.paths[draw.row])
        with torch.random.fork_rng(devices=[]):
            # `torch.manual_seed` would also seed the GPUs, whose state is not put back.
            torch.default_generator.manual_seed(draw.seed)
            pixels: Tensor = self.transform(image)
        return pixels


class FixedView(Dataset[Tensor]):
    """Images by a transform without chance: `view[i]` -> what it makes of the i-th."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[Image.Image], Tensor]) -> None:
        self.paths = paths
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(load_rgb(self.paths[index]))


class EvaluationView(FixedView):
    """Short side resized, centre cropped: `view[i]` -> uint8 [3, crop, crop]."""

    def __init__(self, paths: Sequence[Path], spec: ViewSpec) -> None:
        steps = (
            transforms.Resize(spec.resize),
            transforms.CenterCrop(spec.crop),
            transforms.PILToTensor(),
        )
        super().__init__(paths, transforms.Compose(steps))


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
    try:
        yield from DataLoader(view, batch_sampler=batches, num_workers=workers, pin_memory=pinned)
    except UserError as error:
        # A worker process hands over its whole traceback, which ends in the sentence.
        raise UserError(str(error).rpartition("UserError: ")[2]) from None


def num_workers(threads: int) -> int:
    """Say how many processes decode images for a job that was given `threads` cores.

    One core computes, the others decode; a few cores do both without another process.
    """
    return 0 if threads < 4 else min(threads - 1, MOST_WORKERS)


def load_rgb(path: Path) -> Image.Image:
    """Decode an image file into RGB, by the policy of `tcmbench.images.pictures`.

    Raises:
        UserError: the file is missing or cannot be decoded.
    """
    try:
        return open_rgb(path)
    except UnreadableError as error:
        raise UserError(
            f"image {path} cannot be read ({error}); prepare the dataset again"
        ) from None


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
