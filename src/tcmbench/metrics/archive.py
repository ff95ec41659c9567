"""The files around the metrics: embeddings in (.npz), utility curves out (.parquet)."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.errors import UserError
from tcmbench.metrics.scoring import OpisResult


def read_embeddings(path: Path | str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read `embeddings` [N, D] and `labels` [N] from a .npz file; nothing in it is ever executed.

    Raises:
        UserError: the file is missing, is no whole .npz, lacks an array, or holds Python objects.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is one bare array; save a .npz with 'embeddings' and 'labels'")
        with archive:
            return _member(path, archive, "embeddings"), _member(path, archive, "labels")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is not a whole .npz of plain arrays ({error}); save it again with numpy.savez"
        ) from None


def _member(path: Path | str, archive: Any, name: str) -> NDArray[Any]:
    if name not in archive:
        found = ", ".join(archive.files) or "nothing"
        raise UserError(f"{path} has no array '{name}' (it has {found}); save it under that name")
    array: NDArray[Any] = archive[name]
    return array


def write_utility(path: Path | str, result: OpisResult) -> None:
    """Write the curves in long form: a row for each class and threshold, classes together.

    Columns: class (int64), threshold (distance), utility, sensitivity, specificity (float64).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    classes, thresholds = result.utility.shape
    columns = {
        "class": np.repeat(result.classes, thresholds),
        "threshold": np.tile(result.thresholds, classes),
        "utility": result.utility.ravel(),
        "sensitivity": result.sensitivity.ravel(),
        "specificity": result.specificity.ravel(),
    }
    pq.write_table(pa.table(columns), path)
