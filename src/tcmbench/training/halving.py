"""A training that meets the end of a GPU's memory goes on once with half as many images at once."""

import sys
from typing import Protocol

import torch

from tcmbench.training.chunk import Chunk
from tcmbench.training.course import Course
from tcmbench.training.engine import Engine
from tcmbench.training.failures import too_little
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop


class Restartable(Protocol):
    """A training that can go back to its checkpoint."""

    settings: Settings
    engine: Engine
    course: Course

    def run(self, stop: Stop) -> None:
        """Take all steps that are left."""

    def restart(self, chunk: Chunk) -> None:
        """Go back to the last checkpoint, or to the start, with another chunk."""


def run_in_memory(training: Restartable, stop: Stop) -> None:
    """Take all steps that are left; after a lack of memory, those since the checkpoint again.

    Raises:
        UserError: half of the chunk is too much, too, or it cannot be halved.
    """
    if _fits(training, stop):
        return
    before, half = training.engine.chunk.size, halved(training.engine)
    if half is None:
        raise too_little(training.settings, str(before))
    training.restart(half)
    print(
        f"the GPU ran out of memory with {before} images at once; going on after step "
        f"{training.course.steps} with {half.size}",
        file=sys.stderr,
    )
    if not _fits(training, stop):
        raise too_little(training.settings, f"{before}, halved to {half.size}")


def halved(engine: Engine) -> Chunk | None:
    """Return half of what a training has; None where it cannot be halved.

    That is with one image, with batch norms that learn, whose numbers would change, and in one of
    several processes, whose others would wait for it.
    """
    size = min(engine.chunk.size, engine.share) // 2
    if size == 0 or engine.crew.size > 1 or not engine.settings.model.freeze_batch_norm:
        return None
    return Chunk(size, "halved")


def _fits(training: Restartable, stop: Stop) -> bool:
    # The answer leaves the handler, since its traceback holds the tensors of the step.
    try:
        training.run(stop)
    except torch.OutOfMemoryError:
        return False
    return True
