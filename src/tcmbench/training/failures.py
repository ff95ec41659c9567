"""Sentences for what only shows while a training runs: no memory left, a loss that is no number."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tcmbench.common.errors import UserError
from tcmbench.training.settings import Settings

# What torch says when the processor's memory is refused, and when the system ends a worker.
_REFUSED = re.compile(r"DefaultCPUAllocator: |not enough memory|can't allocate memory", re.I)
_WORKER = re.compile(r"DataLoader worker .*(killed by signal|exited unexpectedly)|shared memory")


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Turn a lack of memory, and a compiler that fails, into a sentence naming the keys that help.

    Raises:
        UserError: in their place.
    """
    plan = settings.optimization
    lower = _lower(settings, str(plan.chunk_size))
    try:
        yield
    except torch.OutOfMemoryError:
        raise too_little(settings, str(plan.chunk_size)) from None
    except MemoryError:
        raise UserError(_processor(plan.batch_size, lower)) from None
    except RuntimeError as error:
        text = str(error)
        if _WORKER.search(text):
            raise UserError(
                "a process that loads images was ended, most likely for want of memory; give the "
                "training fewer cores (a process each)"
            ) from None
        if _REFUSED.search(text):
            raise UserError(_processor(plan.batch_size, lower)) from None
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            reason = text.strip().partition("\n")[0]
            raise UserError(
                f"torch.compile fails here ({reason}); set training.compile to false"
            ) from error
        raise


def too_little(settings: Settings, tried: str) -> UserError:
    """Return the error for a GPU whose memory a training exceeds, with the chunk that was tried."""
    return UserError(f"the GPU has too little memory for this training; {_lower(settings, tried)}")


def not_finite(what: str, place: str, batch: str, settings: Settings) -> UserError:
    """Return the error for a loss or weights that are no finite number.

    Args:
        what: the thing and its value, as "the loss became nan".
        place: epoch and step.
        batch: its classes and images.
        settings: the run.
    """
    return UserError(
        f"{what} in {place} ({batch}); lower the learning rate of {settings.loss.name} with "
        f"{settings.backbone} in config.yaml"
    )


def _lower(settings: Settings, chunk: str) -> str:
    return f"lower chunk_size ({chunk}) or kept_chunks ({settings.optimization.kept_chunks})"


def _processor(batch_size: int, lower: str) -> str:
    return (
        f"this machine has too little memory for this training; {lower}, batch_size "
        f"({batch_size}), or the cores it is given (a process each loads images)"
    )
