"""What a run measured of each test class, side by side for the two runs of a pair."""

from typing import TYPE_CHECKING, TypeAlias

from tcmbench.errors import UserError
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

Pair = tuple[MeasuredRun, MeasuredRun]


def utilities(pair: Pair) -> "tuple[Array, Array] | None":
    """Return the utility [T, K] of the same classes in both runs, or None where a file is missing.

    Raises:
        UserError: a broken `utility.parquet`, or runs of different classes.
    """
    tables = _both(pair, "utility.parquet", ["class", "threshold", "utility"])
    if tables is None:
        return None
    curves = [table.pivot(index="class", columns="threshold", values="utility") for table in tables]
    for run, curve in zip(pair, curves, strict=True):
        if not curve.size or curve.isna().to_numpy().any():
            raise UserError(
                f"{run.folder / 'utility.parquet'} lacks points of some curves; evaluate it again"
            )
    _check_same_classes(pair, curves[0].index, curves[1].index)
    return curves[0].to_numpy(), curves[1].to_numpy()


def recalls(pair: Pair) -> "tuple[Array, Array, Array] | None":
    """Return images [C] and R@1 without and with TCM [C] of each class, None without the files.

    Raises:
        UserError: a broken `classes.parquet`, or runs of different classes or images.
    """
    tables = _both(pair, "classes.parquet", ["class", "num_images", "recall_at_1"])
    if tables is None:
        return None
    base, tcm = (table.set_index("class").sort_index() for table in tables)
    _check_same_classes(pair, base.index, tcm.index)
    if not base["num_images"].equals(tcm["num_images"]):
        raise UserError(
            f"{pair[0].folder} and {pair[1].folder} count different images of a class; evaluate "
            "both on the same test images"
        )
    images, before, after = (
        column.to_numpy(dtype=float)
        for column in (base["num_images"], base["recall_at_1"], tcm["recall_at_1"])
    )
    return images, before, after


def _both(pair: Pair, name: str, columns: list[str]) -> "list[pd.DataFrame] | None":
    paths = [run.folder / name for run in pair]
    if not all(path.is_file() for path in paths):
        return None
    return [_table(path, columns) for path in paths]


def _table(path: "Path", columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{path} lacks {', '.join(columns)} ({error}); evaluate it again") from None
    if table.duplicated([name for name in columns if name in ("class", "threshold")]).any():
        raise UserError(f"{path} has a row twice; evaluate the run again")
    return table


def _check_same_classes(pair: Pair, base: "pd.Index[int]", tcm: "pd.Index[int]") -> None:
    if not base.equals(tcm):
        raise UserError(
            f"{pair[0].folder} and {pair[1].folder} were measured on different test classes; "
            "evaluate both on the same images"
        )
