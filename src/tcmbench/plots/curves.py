"""One run's utility curves, ready to draw."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.errors import UserError
from tcmbench.tables.names import backbone_title, loss_title
from tcmbench.tables.runs import MeasuredRun, pair, read_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ["class", "threshold", "utility"]


@dataclass(frozen=True)
class Curves:
    """Utility of each class over the run's calibration range.

    `thresholds` [K] are L2 distances of unit vectors, `utility` [T, K] lies in 0 to 1.
    """

    run: MeasuredRun
    thresholds: "NDArray[np.float64]"
    utility: "NDArray[np.float64]"

    @property
    def name(self) -> str:
        """Backbone and loss, as printed."""
        return f"{backbone_title(self.run.run.backbone)} · {loss_title(self.run.run.loss)}"

    @property
    def summary(self) -> str:
        """OPIS and R@1, as printed."""
        opis = f"{1e3 * self.run.metrics['opis']:#.3g}".rstrip(".")
        return f"OPIS {opis} ×10⁻³, R@1 {100 * self.run.metrics['recall_at_1']:.1f} %"


def read_pairs(
    folders: Iterable[Path], dataset: str
) -> tuple[list[tuple[Curves, Curves]], list[str]]:
    """Read the curves of base and tcm of each backbone and loss, at their lowest common seed.

    Returns:
        The pairs in the order of print, and a sentence for each run without a partner.

    Raises:
        UserError: as `read_runs` and `pair`; a run of another dataset; a broken utility.parquet.
    """
    runs = read_runs(folders)
    for run in runs:
        if run.run.dataset != dataset:
            raise UserError(f"{run.folder} is not a run on '{dataset}'; leave it out")
    comparisons, notes = pair(runs)
    pairs = [
        (read_curves(comparison.pairs[0][0]), read_curves(comparison.pairs[0][1]))
        for comparison in comparisons
    ]
    return pairs, notes


def read_curves(run: MeasuredRun) -> Curves:
    """Read `utility.parquet` of a run.

    Raises:
        UserError: the file is missing, is not the expected table, or lacks points.
    """
    import numpy as np
    import pandas as pd

    path = run.folder / "utility.parquet"
    if not path.is_file():
        raise UserError(f"{path} does not exist; evaluate the run with --utility")
    try:
        table = pd.read_parquet(path, columns=COLUMNS)
        wide = table.pivot(index="class", columns="threshold", values="utility")
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} is not a utility table ({error}); evaluate the run again"
        ) from None
    utility = wide.to_numpy(dtype=np.float64)
    if not utility.size or not np.isfinite(utility).all():
        raise UserError(f"{path} lacks points of some curves; evaluate the run again")
    return Curves(run, wide.columns.to_numpy(dtype=np.float64), utility)
