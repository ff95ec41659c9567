"""How much of a suite a table shows: a selection, or what is done yet, is not the whole."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Whole:
    """What a suite consists of: its comparisons, and seeds of each."""

    comparisons: int
    seeds: int


def shortfall(seeds: Sequence[int], whole: Whole | None) -> str:
    """Say what part of the whole is there, such as "3 of 16 comparisons"; nothing if it is all.

    Args:
        seeds: number of seeds of each comparison that is there.
        whole: the suite; None where it is not known.
    """
    if whole is None or (len(seeds) >= whole.comparisons and min(seeds) >= whole.seeds):
        return ""
    parts = [f"{len(seeds)} of {whole.comparisons} comparisons"]
    few = sum(count < whole.seeds for count in seeds)
    if few:
        parts.append(f"{few} of them with fewer than {whole.seeds} seeds")
    return ", ".join(parts)
