"""Operations and memory of a loss, with or without the margin, found by computing it once.

What a loss does may depend on its numbers, so it is computed for real, on the processor and on
random embeddings. A large batch follows from three smaller ones: products and matrices of pairs
grow with its square.
"""

import functools
import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import torch
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode

from tcmbench.plan.network import BYTES, saved_bytes
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec, Settings

# The gradient of the similarity matrix, its sum with its transpose, and two of the loss's own size.
MATRICES = 4
# Larger batches are not computed themselves.
LARGEST = 512


@dataclass(frozen=True)
class LossWork:
    """What a loss costs for a whole batch.

    Attributes:
        operations: floating-point operations of its products, forward and backward.
        memory: bytes at its peak, besides the embeddings.
        parameters: number of trained numbers of its own.
    """

    operations: int
    memory: int
    parameters: int


def work_of(settings: Settings, num_classes: int) -> LossWork:
    """Measure the objective of a run; equal questions are answered once."""
    plan = settings.optimization
    sizes = {"num_classes": num_classes, "embedding_size": settings.model.embedding_size}
    parts = asdict(settings.loss), settings.regularizer, sizes
    return _measured(json.dumps(parts), plan.batch_size, plan.samples_per_class)


@functools.cache
def _measured(parts: str, batch: int, per_class: int) -> LossWork:
    if batch <= LARGEST:
        return _computed(parts, batch, per_class)
    sizes = [LARGEST * part // 4 // per_class * per_class for part in (2, 3, 4)]
    found = [_computed(parts, size, per_class) for size in sizes]
    return LossWork(
        _continued(sizes, [work.operations for work in found], batch),
        _continued(sizes, [work.memory for work in found], batch),
        found[0].parameters,
    )


def _continued(sizes: list[int], values: list[int], batch: int) -> int:
    """Return the value at `batch` of the parabola through three points."""
    total = Fraction(0)
    for size, value in zip(sizes, values, strict=True):
        others = [other for other in sizes if other != size]
        weights = [Fraction(batch - other, size - other) for other in others]
        total += value * math.prod(weights)
    return round(total)


def _computed(parts: str, batch: int, per_class: int) -> LossWork:
    loss, regularizer, sizes = json.loads(parts)
    objective = Objective(LossSpec(**loss), regularizer, sizes)
    parameters = sum(parameter.numel() for parameter in objective.parameters())
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(batch, sizes["embedding_size"], generator=generator)
    embeddings = normalize(rows).requires_grad_()
    labels = torch.arange(batch) // per_class
    with FlopCounterMode(display=False) as counter:
        with saved_bytes(embeddings) as saved:
            total: Any = objective(embeddings, labels)["total"]
        memory = sum(saved.values()) + MATRICES * batch**2 * BYTES
        total.backward()
    return LossWork(counter.get_total_flops(), memory, parameters)
