"""The training split as a stream of batches that can start anywhere."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tcmbench.common.devices import uploaded
from tcmbench.images.loading import Draw, TrainingView, load_batches
from tcmbench.images.manifests import read_manifest
from tcmbench.images.sums import read_sums
from tcmbench.training.crew import ALONE, Crew
from tcmbench.training.sampling import Indices, epoch_batches
from tcmbench.training.settings import Settings

NAMED = 3
# Images that a loading process decodes in one go; batches are the same with any number.
LOADED_AT_ONCE = 100


@dataclass(frozen=True)
class Batch:
    """A batch by its place: the epoch, the step of `steps` in it (all from 0), and its rows.

    Of several processes, each has its own share of the rows.
    """

    epoch: int
    step: int
    steps: int
    rows: Indices
    crew: Crew = ALONE

    @property
    def images(self) -> int:
        """Number of images in all processes."""
        return len(self.rows) * self.crew.size

    @property
    def last(self) -> bool:
        """Say whether the epoch ends with this batch."""
        return self.step + 1 == self.steps


class TrainingData:
    """The images and classes of one training; classes are numbered from 0 in order of their ids.

    Raises:
        UserError: no manifest, or one that cannot fill a single batch.
    """

    def __init__(self, settings: Settings, crew: Crew = ALONE) -> None:
        self.settings = settings
        self.crew = crew
        self.items = read_manifest(settings.manifest)
        ids = np.array([item.label for item in self.items], dtype=np.int64)
        names, labels = np.unique(ids, return_inverse=True)
        self.num_classes = len(names)
        self.labels: Indices = labels.astype(np.int64)
        root = Path(settings.images)
        self.view = TrainingView(
            [root / item.path for item in self.items], settings.view, read_sums(root, self.items)
        )
        self.plan(0)

    def plan(self, epoch: int) -> list[Indices]:
        """Return the rows of each batch of an epoch, those of this process."""
        plan, seed = self.settings.optimization, self.settings.seed
        sizes = plan.batch_size, plan.samples_per_class
        return epoch_batches(self.labels, *sizes, seed, epoch, self.crew.rank, self.crew.size)

    def batches(
        self, epoch: int, step: int, device: torch.device
    ) -> Iterator[tuple[Batch, Tensor, Tensor]]:
        """Load the batches of all epochs, beginning with a step of an epoch.

        One loader serves all epochs, so its processes start once and work ahead of each epoch's
        end; they share the images of a batch, part by part.

        Yields:
            The batch, its images uint8 [B, 3, crop, crop] on `device`, and its labels [B] on the
            host.
        """
        planned: deque[Batch] = deque()
        on_gpu = device.type == "cuda"
        loaded = load_batches(self.view, self._keys(epoch, step, planned), pinned=on_gpu)
        for first in loaded:
            batch = planned.popleft()
            labels = torch.from_numpy(self.labels[batch.rows])
            # Held by no name here, the images of a batch are gone when the next one's are there.
            yield batch, _joined(first, loaded, len(batch.rows), device), labels

    def told(self, rows: Indices) -> str:
        """Name the classes and the first images of a batch, for a message."""
        classes = list(dict.fromkeys(self.items[row].label for row in rows))
        images = [self.items[row].path for row in rows]
        return f"classes {_listed(classes)}; images {_listed(images)}"

    def _keys(self, epoch: int, step: int, planned: deque[Batch]) -> Iterator[list[Draw]]:
        size = LOADED_AT_ONCE
        for number in range(epoch, self.settings.optimization.epochs):
            plan = self.plan(number)
            for place in range(step if number == epoch else 0, len(plan)):
                batch = Batch(number, place, len(plan), plan[place], self.crew)
                planned.append(batch)
                draws = _draws(batch, self.settings.seed)
                yield from (draws[at : at + size] for at in range(0, len(draws), size))


def _draws(batch: Batch, seed: int) -> list[Draw]:
    generator = np.random.default_rng([seed, batch.epoch, batch.step + 1])
    # One for each image of the whole batch, so that an image is cropped alike in any process.
    seeds = generator.integers(2**62, size=batch.images).reshape(batch.crew.size, -1)
    own = seeds[batch.crew.rank]
    return [Draw(int(row), int(number)) for row, number in zip(batch.rows, own, strict=True)]


def _joined(first: Tensor, more: Iterator[Tensor], count: int, device: torch.device) -> Tensor:
    """Put the chunks of a batch on the device, one after the other, in place of a copy at the end.

    Channels last is the layout that convolutions on a GPU are fastest in.
    """
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    shape = (count, *first.shape[1:])
    batch = torch.empty(shape, dtype=first.dtype, device=device, memory_format=layout)
    end = 0
    for chunk in chain([first], more):
        start, end = end, end + len(chunk)
        batch[start:end] = uploaded(chunk, device)
        if end == count:
            break
    return batch


def _listed(values: list[int] | list[str]) -> str:
    shown = ", ".join(str(value) for value in values[:NAMED])
    return shown + (f" and {len(values) - NAMED} more" if len(values) > NAMED else "")
