"""The tables of a suite, read back to be judged and drawn."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read_frame(path: Path) -> "pd.DataFrame":
    """Read runs.csv or comparisons.csv.

    Raises:
        UserError: the file is missing, is no table, or has no row.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path} does not exist; make it with src/aggregate.py")
    try:
        frame = pd.read_csv(path)
    except ValueError as error:
        raise UserError(f"{path} is not a table ({error}); make it with src/aggregate.py") from None
    if frame.empty:
        raise UserError(f"{path} has no row yet")
    return frame


def require(
    frame: "pd.DataFrame", columns: Iterable[str], source: Path | str = "the table"
) -> None:
    """Refuse a table without these columns, by the name of its source.

    Raises:
        UserError: one is missing.
    """
    for name in columns:
        if name not in frame.columns:
            raise UserError(f"{source} has no column '{name}'; make it anew with src/aggregate.py")


def require_numbers(
    frame: "pd.DataFrame", columns: Iterable[str], source: Path | str = "the table"
) -> None:
    """Refuse a table without these columns of numbers, which may be empty.

    Raises:
        UserError: one is missing or holds something else.
    """
    from pandas.api.types import is_numeric_dtype

    names = list(columns)
    require(frame, names, source)
    for name in names:
        if not is_numeric_dtype(frame[name]):
            raise UserError(
                f"{source}: the column '{name}' does not hold numbers; make it anew with "
                "src/aggregate.py"
            )
