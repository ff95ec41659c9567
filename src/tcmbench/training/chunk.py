"""How many images a training embeds at once: as set, or the most that fit the device at hand.

`chunk_size: auto` on a GPU takes trial steps of growing size, on blank images with all else that a
step needs in place, and keeps the largest that the GPU has memory for. On a processor, whose memory
is shared and whose speed hardly depends on it, it is `ON_PROCESSOR`. Batch norms that learn
(`freeze_batch_norm: false`) see a chunk at a time, so there it is the whole batch on any device.
"""

import copy
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch.optim import Optimizer

from tcmbench.common.errors import UserError
from tcmbench.models.network import EmbeddingModel
from tcmbench.training import rng
from tcmbench.training.crew import Crew
from tcmbench.training.objective import Objective
from tcmbench.training.settings import AUTO, Settings
from tcmbench.training.step import Passes, backward

ON_PROCESSOR = 64
# Of the memory that is free; the rest is for gaps that open while a training runs.
USABLE = 0.95
FIRST_TRIAL = 8
# The search ends when the largest is known to a part in so many.
FINENESS = 16


class Stepping(Protocol):
    """What a trial step needs of a training; an `Engine` before its first step."""

    settings: Settings
    crew: Crew
    device: torch.device
    share: int
    passes: Passes
    model: EmbeddingModel
    objective: Objective
    optimizer: Optimizer


@dataclass(frozen=True)
class Chunk:
    """Images embedded at once; their number was `set`, by `rule`, `measured` or `halved`."""

    size: int
    origin: str


def chosen(engine: Stepping) -> Chunk:
    """Return what a training begins with; the same in all its processes.

    Raises:
        UserError: not even one image at a time fits the GPU.
    """
    plan = engine.settings.optimization
    if plan.chunk_size != AUTO:
        return Chunk(int(plan.chunk_size), "set")
    if not engine.settings.model.freeze_batch_norm:
        return Chunk(engine.share, "rule")
    if engine.device.type != "cuda":
        return Chunk(min(ON_PROCESSOR, engine.share), "rule")
    limit = USABLE * free_bytes(engine.device)
    size = -engine.crew.highest(-measured(engine, limit))[0]
    torch.cuda.reset_peak_memory_stats(engine.device)
    if engine.crew.leads:
        print(f"chunk_size auto: {size} images at once fit {limit / 1e9:.1f} GB", file=sys.stderr)
    return Chunk(size, "measured")


def measured(engine: Stepping, limit: float) -> int:
    """Return the most images whose trial step stays within `limit` bytes; changes no number.

    Raises:
        UserError: not even one does.
    """
    before = rng.state(engine.device)
    plan, view, device = engine.settings.optimization, engine.settings.view, engine.device
    blank = torch.zeros(engine.share, 3, view.crop, view.crop, dtype=torch.uint8, device=device)
    labels = torch.arange(engine.share) // plan.samples_per_class
    # Adam's state, which the first step makes.
    trained = [*engine.model.parameters(), *engine.objective.parameters()]
    _moments = [torch.empty_like(parameter) for parameter in 2 * trained]
    objective = copy.deepcopy(engine.objective)

    def step(size: int) -> None:
        # Two chunks besides the kept ones show all that a batch of many has at a time.
        rows = min(engine.share, size if size >= engine.share else (plan.kept_chunks + 2) * size)
        passes = replace(engine.passes, chunk_size=size)
        backward(engine.model, objective, blank[:rows], labels[:rows], passes)

    try:
        size = largest(engine.share, lambda size: peak_bytes(device, lambda: step(size)), limit)
    finally:
        engine.optimizer.zero_grad(set_to_none=True)
        rng.set_state(before, device)
    if size == 0:
        raise UserError(
            f"{engine.settings.backbone} with batches of {plan.batch_size} does not fit the "
            f"{limit / 1e9:.1f} GB that are free on this GPU, with one image at a time; free it, "
            "lower batch_size, or take a larger GPU"
        )
    return size


def largest(batch: int, cost: Callable[[int], float], limit: float) -> int:
    """Return the most images, up to `batch`, that cost at most `limit`; 0 if one costs more.

    Args:
        batch: images a step.
        cost: bytes with so many images at once; grows with them.
        limit: bytes.
    """
    fits, size = 0, min(FIRST_TRIAL, batch)
    while cost(size) <= limit:
        if size == batch:
            return batch
        fits, size = size, min(2 * size, batch)
    # Between one that fits and one that does not.
    while size - fits > max(1, fits // FINENESS):
        middle = (fits + size) // 2
        fits, size = (middle, size) if cost(middle) <= limit else (fits, middle)
    return fits


def free_bytes(device: torch.device) -> int:
    """Return the bytes of a GPU that this process has or can take."""
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)


def peak_bytes(device: torch.device, action: Callable[[], None]) -> float:
    """Run `action`; return the most bytes of a GPU that this process had then, inf if too many."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    try:
        action()
    except torch.OutOfMemoryError:
        return math.inf
    return torch.cuda.max_memory_reserved(device)
