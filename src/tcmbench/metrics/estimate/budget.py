"""How long an evaluation will take here and how much memory, said before it starts."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.estimate.trial import Machine, this_machine
from tcmbench.metrics.search.faiss_search import FULL_SEARCH

# The pass takes 0.7 to 0.9 of a full product, which is 1.4 to 1.8 of the half that it multiplies.
_COUNTING = 1.8
# Float64 products, and each pair is put into its bin.
_CURVES = 8
# Tables and tiles beside the unit rows, and a megabyte for each thousand images of orders, ranks.
_TABLES = 500_000_000
_GPU_TILES = 4_000_000_000
_BYTES_AN_IMAGE = 200
_BYTES_A_CURVE_POINT = 100
# From here on, an evaluation takes long enough to say first how long.
_LARGE = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: thresholds, the search for MAP@R, points of curves over all distances.

    `flat` says whether faiss's full search is asked for beside the exact one; `gpus` share the
    passes over all pairs.
    """

    thresholds: int
    search: str = "exact"
    curves: int = 0
    flat: bool = False
    gpus: int = 1

    @property
    def exact_map(self) -> bool:
        """Whether MAP@R is asked for by exact search."""
        return self.search == "exact"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: images, their dimensions, classes, images of the largest class."""

    count: int
    width: int
    classes: int
    largest: int
    asked: Asked

    @property
    def pairs(self) -> int:
        """Unordered pairs of images."""
        return self.count * (self.count - 1) // 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, and bytes of memory beyond files that are mapped; where one pass is enough."""

    seconds: float
    memory: int
    memory_on_gpu: int | None


def check(
    embeddings: NDArray[Any], labels: NDArray[Any], device: str, asked: Asked, max_hours: float
) -> None:
    """Say on standard error what many images will take; only their number and width are looked at.

    Raises:
        UserError: it does not fit into the memory, or takes longer than `max_hours`.
    """
    if embeddings.ndim != 2 or len(embeddings) < _LARGE:
        return
    sizes = np.unique(labels, return_counts=True)[1]
    work = Work(len(embeddings), embeddings.shape[1], len(sizes), int(sizes.max(initial=1)), asked)
    machine = this_machine(work.width, device, work.largest if asked.exact_map else None)
    expected = estimate(work, machine)
    print(sentence(work, machine, expected), file=sys.stderr, flush=True)
    require(work, machine, expected, max_hours)


def estimate(work: Work, machine: Machine) -> Estimate:
    """Multiply up: half of the matrix with its counting, and MAP@R by its trial or its product."""
    product = 2 * work.pairs * work.width / machine.flops
    passes = _COUNTING + _CURVES * (work.asked.curves > 0)
    seconds = product * passes / work.asked.gpus
    if work.asked.exact_map:
        seconds += work.pairs / machine.map_rate
    elif work.asked.search == "faiss":
        # All of the matrix; an inverted file goes over a small part, and is built for a while.
        seconds += product * (2 if work.count <= FULL_SEARCH else 0.2)
    seconds += 2 * product * work.asked.flat
    rows = work.count * (4 * work.width + _BYTES_AN_IMAGE)
    points = work.asked.thresholds + work.asked.curves
    memory = rows + _TABLES + work.classes * points * _BYTES_A_CURVE_POINT
    # Faiss has queries and gallery side by side, and its own copy of the gallery.
    memory += 3 * rows * work.asked.flat
    return Estimate(seconds, memory, rows + _GPU_TILES if machine.device == "cuda" else None)


def sentence(work: Work, machine: Machine, expected: Estimate) -> str:
    """Say what is expected, and how that was found."""
    return (
        f"{work.count:,} images of {work.width} dimensions, {work.pairs / 1e9:,.1f} billion pairs: "
        f"about {_spoken(expected.seconds)} and {expected.memory / 1e9:.1f} GB of memory "
        f"({machine.free / 1e9:.1f} GB free) on {machine.device}, from a trial product at "
        f"{machine.flops / 1e9:,.0f} GFLOP/s"
        + (" and a trial of MAP@R" if work.asked.exact_map else "")
        + "; several times that where one pass over the pairs is not enough"
    )


def require(work: Work, machine: Machine, expected: Estimate, max_hours: float) -> None:
    """Refuse what does not fit.

    Raises:
        UserError: too little memory, or a longer time than `max_hours`.
    """
    for needed, free, place in (
        (expected.memory, machine.free, "this machine"),
        (expected.memory_on_gpu, machine.free_on_gpu, "the GPU"),
    ):
        if needed is not None and free is not None and needed > free:
            raise UserError(
                f"{work.count:,} images need {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} "
                f"GB are free on {place}; free some, or evaluate a subset"
            )
    if expected.seconds > max_hours * 3600:
        ways = ["--device cuda"] * (machine.device == "cpu")
        ways += ["--map-at-r faiss or none"] * work.asked.exact_map
        raise UserError(
            f"{work.count:,} images would take about {_spoken(expected.seconds)} here, more than "
            f"{max_hours:g} h; {''.join(f'try {way}, ' for way in ways)}or raise --max-hours"
        )


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
