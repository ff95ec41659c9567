"""The margins of each dataset, backbone and loss, chosen among those that were validated."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.config.sweeps import parsed
from tcmbench.config.tuned import SETTINGS
from tcmbench.tables.pairing import Comparison, pair
from tcmbench.tables.runs import MeasuredRun, read_runs

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("opis", "epsilon_opis", "recall_at_1")
BY_OPIS = "lowest mean OPIS of those that keep R@1"
BY_RECALL = "no margins keep R@1: the smallest loss of it"


def margins_frame(comparisons: Sequence[Comparison]) -> "pd.DataFrame":
    """Return a row for all margins that were tried, in the order of print; one a cell is chosen.

    Margins keep R@1 where the mean of their paired differences from base, over folds and seeds, is
    not below 0 by more than its own standard error. Of those that do, the lowest mean OPIS is
    chosen; where none do, the highest mean R@1.

    Columns: `dataset`, `scale`, `backbone`, `loss`; the four settings; `n` pairs; for each measure
    its mean with TCM, the mean of base (`_base`), of the difference (`_delta`), and the standard
    errors of the first and the last (`_se`, `_delta_se`); `keeps_recall`, `chosen`, `rule`.

    Raises:
        UserError: a comparison has fewer than two pairs, or was scored on test classes.
    """
    import pandas as pd

    cells = list(dict.fromkeys(_cell(comparison) for comparison in comparisons))
    rows = [(cells.index(_cell(comparison)), _row(comparison)) for comparison in comparisons]
    # The default margins have no name of their own and would stand first.
    rows.sort(key=lambda found: (found[0], *(found[1][key] for key in SETTINGS)))
    frame = pd.DataFrame([row for _, row in rows])
    frame["keeps_recall"] = frame["recall_at_1_delta"] >= -frame["recall_at_1_delta_se"]
    frame["chosen"], frame["rule"] = False, ""
    for _, tried in frame.groupby(["dataset", "backbone", "loss"], sort=False):
        keeping = tried[tried["keeps_recall"]]
        best = keeping["opis"].idxmin() if len(keeping) else tried["recall_at_1"].idxmax()
        frame.loc[best, ["chosen", "rule"]] = True, BY_OPIS if len(keeping) else BY_RECALL
    return frame


def write_margins(folders: Iterable[Path], out: Path) -> None:
    """Write `margins.csv` of the runs of a suite with `validation` into a folder.

    Raises:
        UserError: as `read_runs`, `pair` and `margins_frame`.
    """
    comparisons, _ = pair(read_runs(folders))
    frame = margins_frame(comparisons)
    with atomic_path(out / "margins.csv") as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def _cell(comparison: Comparison) -> tuple[str, str, str]:
    dataset, backbone, loss = comparison.cell
    return dataset, backbone, parsed(loss)[0]


def _row(comparison: Comparison) -> dict[str, Any]:
    dataset, backbone, loss = _cell(comparison)
    first = comparison.pairs[0][1]
    for side in comparison.pairs:
        _check(side)
    if len(comparison.pairs) < 2:
        raise UserError(
            f"{first.folder} is the only fold of its margins that was scored; a standard error "
            "takes two"
        )
    regularizer = first.record["config"]["regularizer"]
    row: dict[str, Any] = {"dataset": dataset, "scale": first.scale, "backbone": backbone}
    row |= {"loss": loss} | {key: regularizer[key] for key in SETTINGS}
    row["n"] = len(comparison.pairs)
    for measure in MEASURES:
        base, tcm = (
            [float(pair[side].metrics[measure]) for pair in comparison.pairs] for side in (0, 1)
        )
        delta = [after - before for before, after in zip(base, tcm, strict=True)]
        row[measure], row[f"{measure}_se"] = _mean(tcm)
        row[f"{measure}_base"], _ = _mean(base)
        row[f"{measure}_delta"], row[f"{measure}_delta_se"] = _mean(delta)
    return row


def _check(pair: tuple[MeasuredRun, MeasuredRun]) -> None:
    for run in pair:
        if run.fold is None:
            raise UserError(
                f"{run.folder} was scored on test classes, which must not choose margins; name "
                "runs of a suite with 'validation'"
            )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (len(values) - 1) / len(values))
