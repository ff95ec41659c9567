"""Runs in pairs: the same fold and seed without and with TCM."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.tables.names import VARIANTS
from tcmbench.tables.runs import Cell, MeasuredRun

# What the two runs of a pair have in common: the dataset with its fold, and the seed.
Same = tuple[str, int]


@dataclass(frozen=True)
class Comparison:
    """The runs of one dataset, backbone and loss, as (base, tcm) pairs of the same fold and seed.

    `cell` is that of the tcm runs: one base run may belong to several comparisons.
    """

    cell: Cell
    pairs: tuple[tuple[MeasuredRun, MeasuredRun], ...]


def pair(runs: Sequence[MeasuredRun]) -> tuple[list[Comparison], list[str]]:
    """Pair base and tcm runs by fold and seed; also say in sentences which runs found no partner.

    Raises:
        UserError: not one pair.
    """
    by_variant: dict[str, dict[Cell, dict[Same, MeasuredRun]]] = {name: {} for name in VARIANTS}
    for run in runs:
        same = run.run.dataset, run.run.seed
        by_variant[run.run.variant].setdefault(run.cell, {})[same] = run
    comparisons: list[Comparison] = []
    paired: set[Path] = set()
    for cell, tcm in by_variant["tcm"].items():
        base = by_variant["base"].get(next(iter(tcm.values())).base_cell, {})
        both = sorted(base.keys() & tcm.keys())
        if both:
            comparisons.append(Comparison(cell, tuple((base[s], tcm[s]) for s in both)))
            paired.update(side[s].folder for side in (base, tcm) for s in both)
    notes = [_left_out(run) for run in runs if run.folder not in paired]
    if not comparisons:
        raise UserError(
            "no comparison can be made: no seed has both a base and a tcm run of the same "
            "dataset, backbone and loss; add the missing variant"
        )
    return comparisons, notes


def _left_out(run: MeasuredRun) -> str:
    other = "tcm" if run.run.variant == "base" else "base"
    return (
        f"{run.folder} is left out of the comparisons: its partner is missing, the run of "
        f"variant '{other}' with the same seed"
    )
