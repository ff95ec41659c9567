"""Embeddings and labels in tables: .parquet and .csv, a column of lists or a column a dimension."""

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.io.source import Source

# What may stand between a name and the number of a dimension.
_DIMENSION = re.compile(r"(.*?)[_.\- ]?(\d+)")
_INTEGER = re.compile(r"0|-?[1-9]\d*")
_PARTING = re.compile(r"[\[\]()\s,;]+")
_LIST = re.compile(r"\s*[\[(][\d\s.,;eEnaifNIF+-]*[\])]\s*")


def parquet_file(path: Path) -> Source:
    """Open a Parquet table; columns are read when they are asked for.

    Raises:
        UserError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a whole Parquet table ({error}); write it again") from None
    return _source(path, names, lambda wanted: pq.read_table(path, columns=wanted))


def csv_file(path: Path) -> Source:
    """Open a table of text with a header, its columns parted by comma, semicolon or tab.

    Every cell is read as text, so that no label is altered.

    Raises:
        UserError: rows of different length, or another encoding than UTF-8.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        line = stream.readline()
    delimiter = max(",;\t", key=line.count)
    names = next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter))
    try:
        table = arrow.read_csv(
            path,
            parse_options=arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise UserError(f"{path} is not a whole CSV table ({error}); write it again") from None
    return _source(path, table.column_names, table.select)


def _source(path: Path, columns: list[str], read: Any) -> Source:
    groups = _groups(columns)
    single = {key: names for key, names in groups.items() if key not in columns}

    def get(name: str) -> NDArray[Any]:
        if name not in single:
            return _column(path, name, read([name]).column(0))
        table = read(single[name])
        parts = [_numbers(path, column, table[column]) for column in single[name]]
        return np.stack(parts, axis=1)

    return Source(path, (*columns, *single), get, "column")


def _groups(columns: list[str]) -> dict[str, list[str]]:
    """Return the columns of each name that is numbered from 0 or 1 without a gap, in order."""
    numbered: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for column in columns:
        if found := _DIMENSION.fullmatch(column):
            numbered[found[1]][int(found[2])] = column
    return {
        # Bare numbers have no name of their own.
        name or "embeddings": [places[number] for number in sorted(places)]
        for name, places in numbered.items()
        if len(places) > 1
        and sorted(places) == list(range(min(places), min(places) + len(places)))
        and min(places) < 2
    }


def dimensions(source: Source, columns: tuple[str, ...]) -> list[str]:
    """Return the names of a table's sets of numbered columns, as `Source.names` has them."""
    return [name for name in _groups(list(columns)) if name in source.names]


def _column(path: Path, name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa

    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(f"{path}: '{name}' is empty in row {row}; fill it in or leave the row out")
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _rows(path, name, column)
    if pa.types.is_fixed_size_list(column.type):
        return _rows(path, name, column.cast(pa.list_(column.type.value_type)))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        plain: NDArray[Any] = column.to_numpy()
        return plain
    return _texts(path, name, column.to_pylist())


def _texts(path: Path, name: str, texts: list[str]) -> NDArray[Any]:
    """Return whole numbers and lists of numbers as such where all texts are that, else texts."""
    if texts and _LIST.fullmatch(texts[0]):
        rows = [_PARTING.sub(" ", text).split() for text in texts]
        _check_widths(path, name, np.array([len(row) for row in rows]))
        try:
            return np.array(rows, dtype=np.float64)
        except ValueError as error:
            raise UserError(f"{path}: '{name}' is no list of numbers ({error})") from None
    if "" in texts:
        raise UserError(
            f"{path}: '{name}' is empty in row {texts.index('')}; fill it in or leave the row out"
        )
    if all(map(_INTEGER.fullmatch, texts)):
        return np.array([int(text) for text in texts])
    return np.array(texts)


def _rows(path: Path, name: str, column: Any) -> NDArray[Any]:
    import pyarrow.compute as pc

    widths = pc.list_value_length(column).to_numpy()
    _check_widths(path, name, widths)
    values = pc.list_flatten(column)
    if values.null_count:
        raise UserError(f"{path}: '{name}' has lists with gaps; fill them in or leave the rows out")
    flat: NDArray[Any] = values.to_numpy()
    return flat.reshape(len(widths), -1)


def _check_widths(path: Path, name: str, widths: NDArray[Any]) -> None:
    odd = np.flatnonzero(widths != widths[:1])
    if len(odd):
        raise UserError(
            f"{path}: '{name}' has {widths[0]} numbers in row 0 but {widths[odd[0]]} in row "
            f"{odd[0]}; give all images embeddings of one length"
        )


def _numbers(path: Path, name: str, column: Any) -> NDArray[Any]:
    values = _column(path, name, column)
    if values.dtype.kind != "U":
        return values
    try:
        return values.astype(np.float64)
    except ValueError as error:
        raise UserError(f"{path}: column '{name}' is not all numbers ({error})") from None
