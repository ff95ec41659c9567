"""The files around the metrics: embeddings in (.npz or .npy), tables of classes out (.parquet)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.class_recall import ClassRecall
from tcmbench.metrics.engine.cosines import distance_to_cosine
from tcmbench.metrics.engine.rates import Array
from tcmbench.metrics.io.formats import foreign
from tcmbench.metrics.io.mapping import mapped_array, mapped_member
from tcmbench.metrics.pair_rates import PairErrorRates
from tcmbench.metrics.scoring import OpisResult, utility_of


def read_embeddings(
    path: Path | str, labels: Path | str | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read embeddings [N, D] and labels [N]; nothing in the files is ever executed.

    Arrays stored as they are (numpy.savez, numpy.save) are mapped into memory, not loaded.

    Args:
        path: a .npz file with `embeddings` and `labels`, or a .npy file of the embeddings.
        labels: a .npy file of the labels, for embeddings in one.

    Raises:
        UserError: a file is missing, is damaged or of another format, lacks an array, or holds
            Python objects.
    """
    if labels is not None:
        return _checked_array(path), _checked_array(labels)
    _refuse_foreign(path)
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(
                f"{path} is one bare array; give its labels with --labels, or save a .npz with "
                "'embeddings' and 'labels'"
            )
        with archive:
            return _member(path, archive, "embeddings"), _member(path, archive, "labels")
    except (UserError, OSError):
        raise
    except Exception as error:  # a damaged file makes NumPy's reader raise almost anything
        raise UserError(
            f"{path} is not a whole .npz of plain arrays ({error}); save it again with numpy.savez"
        ) from None


def _refuse_foreign(path: Path | str) -> None:
    try:
        kind = foreign(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    if kind is not None:
        raise UserError(f"{path} {kind}")


def _checked_array(path: Path | str) -> NDArray[Any]:
    _refuse_foreign(path)
    try:
        return mapped_array(path)
    except OSError:
        raise
    except Exception as error:  # as above
        if isinstance(error, ValueError):
            _refuse_objects(str(path), error)
        raise UserError(
            f"{path} is not a whole .npy of plain numbers ({error}); save it again with numpy.save"
        ) from None


def _member(path: Path | str, archive: Any, name: str) -> NDArray[Any]:
    if name not in archive:
        found = ", ".join(archive.files) or "nothing"
        raise UserError(f"{path} has no array '{name}' (it has {found}); save it under that name")
    # NumPy's own writer adds .npy to a name; other tools leave it out.
    member = next(member for member in (f"{name}.npy", name) if member in archive.zip.namelist())
    try:
        mapped = mapped_member(path, archive.zip.getinfo(member))
        array: NDArray[Any] = archive[name] if mapped is None else mapped
    except ValueError as error:
        _refuse_objects(f"{path}: '{name}'", error)
        raise
    return array


def _refuse_objects(what: str, error: ValueError) -> None:
    # NumPy advises to allow pickle here, which would run whatever code the file holds.
    if "bject" in str(error):
        raise UserError(
            f"{what} holds Python objects; save plain numbers, such as labels.astype(numpy.int64)"
        ) from None


def write_utility(path: Path | str, result: OpisResult) -> None:
    """Write the curves in long form: a row for each class and threshold, classes together.

    Columns: class (int64), threshold (distance), utility, sensitivity, specificity, and cosine, the
    threshold as one (float64).
    """
    rates = {"sensitivity": result.sensitivity, "specificity": result.specificity}
    _write_curves(path, result.classes, result.thresholds, {"utility": result.utility, **rates})


def write_curves(path: Path | str, rates: PairErrorRates, beta: float) -> None:
    """Write the curves at other thresholds in the form of `write_utility`.

    Args:
        path: of the table.
        rates: of each class at those thresholds.
        beta: weight of sensitivity against specificity in the utility.
    """
    found = {"sensitivity": 1 - rates.class_frr, "specificity": 1 - rates.class_far}
    utility = utility_of(found["sensitivity"], found["specificity"], beta)
    _write_curves(path, rates.classes, rates.thresholds, {"utility": utility, **found})


def _write_curves(
    path: Path | str, labels: NDArray[Any], thresholds: Array, values: dict[str, Array]
) -> None:
    _write_table(
        path,
        {
            "class": np.repeat(labels, len(thresholds)),
            "threshold": np.tile(thresholds, len(labels)),
            **{name: table.ravel() for name, table in values.items()},
            "cosine": np.tile(distance_to_cosine(thresholds), len(labels)),
        },
    )


def write_classes(path: Path | str, found: ClassRecall) -> None:
    """Write recall@1 in a row for each class, also for those of one image.

    Columns: class (int64), num_images (int64), recall_at_1 (float64), the share of the class's
    images whose nearest other image is of the class.
    """
    columns = {"class": found.classes, "num_images": found.num_images}
    _write_table(path, columns | {"recall_at_1": found.recall_at_1})


def _write_table(path: Path | str, columns: dict[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
