"""One run's utility curves, ready to draw."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tcmbench.common.errors import UserError
from tcmbench.tables.names import backbone_title, loss_title
from tcmbench.tables.pairing import pair
from tcmbench.tables.per_class import read_utility
from tcmbench.tables.runs import MeasuredRun, read_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

WHOLE = "curves.parquet"


@dataclass(frozen=True)
class Curves:
    """Utility of each class over the run's calibration range, and around it.

    `thresholds` [K] are L2 distances of unit vectors, `utility` [T, K] lies in 0 to 1; `around` are
    others, where the run has them.
    """

    run: MeasuredRun
    thresholds: "Array"
    utility: "Array"
    around: "tuple[Array, Array] | None" = None

    @cached_property
    def whole(self) -> "tuple[Array, Array]":
        """Return all thresholds [W], ascending, and the utility [T, W] there."""
        import numpy as np

        if self.around is None:
            return self.thresholds, self.utility
        thresholds, utility = self.around
        outside = (thresholds < self.thresholds[0]) | (thresholds > self.thresholds[-1])
        joined = np.concatenate([thresholds[outside], self.thresholds])
        order = joined.argsort(kind="stable")
        return joined[order], np.hstack([utility[:, outside], self.utility])[:, order]

    @property
    def name(self) -> str:
        """Backbone and loss, as printed."""
        return cell_title(self.run.run.backbone, self.run.run.loss)

    @property
    def summary(self) -> str:
        """OPIS and R@1, as printed."""
        opis = f"{1e3 * self.run.metrics['opis']:#.3g}".rstrip(".")
        return f"OPIS {opis} ×10⁻³, R@1 {100 * self.run.metrics['recall_at_1']:.1f} %"


def cell_title(backbone: str, loss: str) -> str:
    """Return the printed name of a backbone with a loss."""
    return f"{backbone_title(backbone)} · {loss_title(loss)}"


def read_pairs(
    folders: Iterable[Path], dataset: str
) -> tuple[list[tuple[Curves, Curves]], list[str]]:
    """Read the curves of base and tcm of each backbone and loss, at their lowest common seed.

    Returns:
        The pairs in the order of print, and a sentence for each run without a partner.

    Raises:
        UserError: as `pairs_of`; a broken utility.parquet.
    """
    pairs, notes = pairs_of(folders, dataset)
    return [(read_curves(base), read_curves(tcm)) for base, tcm in pairs], notes


def pairs_of(
    folders: Iterable[Path], dataset: str
) -> tuple[list[tuple[MeasuredRun, MeasuredRun]], list[str]]:
    """Pair the base and tcm runs of each backbone and loss, at their lowest common seed.

    Raises:
        UserError: as `runs_of` and `pair`.
    """
    comparisons, notes = pair(runs_of(folders, dataset))
    return [comparison.pairs[0] for comparison in comparisons], notes


def runs_of(folders: Iterable[Path], dataset: str) -> list[MeasuredRun]:
    """Read the runs on one dataset.

    Raises:
        UserError: as `read_runs`; a run of another dataset.
    """
    runs = read_runs(folders)
    for run in runs:
        if run.run.dataset != dataset:
            raise UserError(f"{run.folder} is not a run on '{dataset}'; leave it out")
    return runs


def read_curves(run: MeasuredRun) -> Curves:
    """Read the utility curves of a run: the calibration range, and all of `curves.parquet`.

    Raises:
        UserError: as `read_utility`; files of different classes.
    """
    thresholds, classes, (utility,) = read_utility(run, ["utility"])
    if not (run.measures / WHOLE).is_file():
        return Curves(run, thresholds, utility)
    around, others, (values,) = read_utility(run, ["utility"], WHOLE)
    if classes.tolist() != others.tolist():
        raise UserError(
            f"{run.folder} has other classes in {WHOLE} than in utility.parquet; evaluate it again"
        )
    return Curves(run, thresholds, utility, (around, values))
