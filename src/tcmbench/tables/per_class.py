"""What a run measured of each test class, side by side for the two runs of a pair."""

from typing import TYPE_CHECKING, TypeAlias

from tcmbench.common.errors import UserError
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    if not _both_have(pair, "utility.parquet"):
        return None
    (_, classes, (base,)), (_, others, (tcm,)) = (read_utility(run, ["utility"]) for run in pair)
    _check_same_classes(pair, classes.tolist(), others.tolist())
    return base, tcm


def read_utility(
    run: MeasuredRun, columns: "Sequence[str]", name: str = "utility.parquet"
) -> "tuple[Array, NDArray[np.int64], list[Array]]":
    """Read columns of a run's `utility.parquet`, or of a file of the same form.

    Returns:
        The thresholds [K], ascending; the classes [T], ascending; and each column as [T, K].

    Raises:
        UserError: the file is missing, is not the expected table, or lacks points.
    """
    import numpy as np
    import pandas as pd

    path = run.measures / name
    if not path.is_file():
        raise UserError(f"{path} does not exist; evaluate the run with --utility")
    try:
        table = pd.read_parquet(path, columns=["class", "threshold", *columns])
        wide = table.pivot(index="class", columns="threshold", values=list(columns))
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} is not a utility table ({error}); evaluate the run again"
        ) from None
    if wide.empty or not np.isfinite(wide.to_numpy(dtype=np.float64)).all():
        raise UserError(f"{path} lacks points of some curves; evaluate the run again")
    values = [wide[column].to_numpy(dtype=np.float64) for column in columns]
    thresholds = wide[columns[0]].columns.to_numpy(dtype=np.float64)
    return thresholds, wide.index.to_numpy(dtype=np.int64), values


def recalls(pair: Pair) -> "tuple[Array, Array, Array] | None":
    """Return images [C] and R@1 without and with TCM [C] of each class, None without the files.

    Raises:
        UserError: a broken `classes.parquet`, or runs of different classes or images.
    """
    if not _both_have(pair, "classes.parquet"):
        return None
    base, tcm = (read_classes(run.measures / "classes.parquet") for run in pair)
    _check_same_classes(pair, list(base.index), list(tcm.index))
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


def _both_have(pair: Pair, name: str) -> bool:
    return all((run.measures / name).is_file() for run in pair)


def read_classes(path: "Path") -> "pd.DataFrame":
    """Read a `classes.parquet`: `num_images` and `recall_at_1` by class, ascending.

    Raises:
        UserError: it is not such a table, or has a class twice.
    """
    import pandas as pd

    columns = ["class", "num_images", "recall_at_1"]
    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{path} lacks {', '.join(columns)} ({error}); evaluate it again") from None
    if table.duplicated("class").any():
        raise UserError(f"{path} has a row twice; evaluate the run again")
    return table.set_index("class").sort_index()


def _check_same_classes(pair: Pair, base: list[int], tcm: list[int]) -> None:
    if base != tcm:
        raise UserError(
            f"{pair[0].folder} and {pair[1].folder} were measured on different test classes; "
            "evaluate both on the same images"
        )
