"""What is asked of the pairs, how to go over them, and what is found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from tcmbench.metrics.engine.rates import Rates

Report: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where to read error rates: `num_thresholds` equally spaced distances.

    Attributes:
        far_range: between these false accept rates,
        frr_range: or, where given, between these false reject rates.
        num_thresholds: K.
        agree: whether two readings of the rates, the second coarser, lead to the same scores.
    """

    far_range: tuple[float, float]
    frr_range: tuple[float, float] | None
    num_thresholds: int
    agree: Callable[[Rates, Rates], bool]


@dataclass(frozen=True, slots=True)
class Options:
    """How to go over the pairs; no choice alters a result by more than rounding.

    Attributes:
        block_size: rows of a tile; by default by device.
        exact: float64 products throughout; by default for few images.
        engine: "numba" or "torch"; by default the faster one.
        report: called with a number of pairs each time they are done.
        devices: share the float32 pass, a process each; none: it is done here alone.
    """

    block_size: int | None = None
    exact: bool | None = None
    engine: str | None = None
    report: Report | None = None
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was found.

    Attributes:
        rates: at the thresholds; None without a calibration.
        ahead: [N] images ahead of each row's best positive, on the right side of each k asked for;
            more than any k where there is none. None without a k.
        one_pass: whether one float32 pass over the pairs was enough.
    """

    rates: Rates | None
    ahead: Tensor | None
    one_pass: bool
