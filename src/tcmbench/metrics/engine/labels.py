"""Where labels enter: integers of any type, each kept exactly or refused."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.common.errors import UserError

Labels: TypeAlias = NDArray[Any] | Tensor

_SIGNED = np.iinfo(np.int64)
_UNSIGNED = np.iinfo(np.uint64)
_NUMBERED = "number the classes with integers, as numpy.unique(labels, return_inverse=True)[1] does"


def checked_labels(labels: Labels, rows: int, *, whole_floats: bool = False) -> NDArray[Any]:
    """Return labels [N] as integers in the machine's byte order, none of them altered.

    Args:
        labels: integers of any width and byte order, or Python integers in an array of objects.
        rows: N, the number of embeddings.
        whole_floats: also take floats that are whole numbers, where their type holds each integer
            up to the largest.

    Raises:
        UserError: another number than of rows, or anything else than such integers.
    """
    names = _array(labels)
    if names.ndim != 1 or names.shape[0] != rows:
        raise UserError(
            f"labels have shape {names.shape} but there are {rows} embeddings; "
            "give one label a row, in the same order"
        )
    if names.dtype.kind == "O":
        return _from_objects(names)
    if names.dtype.kind == "f" and whole_floats:
        return _from_floats(names)
    if names.dtype.kind not in "iu":
        raise UserError(f"labels are {names.dtype}; {_NUMBERED}")
    return names.astype(names.dtype.newbyteorder("="), copy=False)


def _array(labels: Labels) -> NDArray[Any]:
    if not isinstance(labels, Tensor):
        return np.asarray(labels)
    try:
        return labels.detach().cpu().numpy()
    except TypeError:  # a type that NumPy lacks, such as bfloat16
        raise UserError(f"labels are {labels.dtype}; {_NUMBERED}") from None


def joined(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return the classes of two sets, ascending; a signed and an unsigned type meet exactly.

    Raises:
        UserError: no integer type holds them all.
    """
    if np.result_type(one, other).kind in "iu":
        return np.union1d(one, other)
    # Together int64 and uint64 would become float64.
    classes = np.union1d(one.astype(object), other.astype(object))
    return _from_objects(classes)


def _from_objects(names: NDArray[Any]) -> NDArray[Any]:
    for row, name in enumerate(names):
        if isinstance(name, bool | np.bool_) or not isinstance(name, int | np.integer):
            raise UserError(
                f"labels hold {name!r} ({type(name).__name__}) in row {row}; {_NUMBERED}"
            )
    low, high = int(min(names, default=0)), int(max(names, default=0))
    for kind in (_SIGNED, _UNSIGNED):
        if kind.min <= low and high <= kind.max:
            return names.astype(kind.dtype)
    raise UserError(
        f"labels reach from {low} to {high}, and no 64-bit type holds both; {_NUMBERED}"
    )


def _from_floats(names: NDArray[Any]) -> NDArray[Any]:
    # From here on the type leaves integers out, so two labels may have become one before.
    limit = 2.0 ** (np.finfo(names.dtype).nmant + 1)
    bad = np.flatnonzero((names != np.rint(names)) | ~(np.abs(names) < limit))
    if len(bad):
        raise UserError(
            f"labels hold {names[bad[0]]:g} in row {bad[0]}, which is no integer that "
            f"{names.dtype} surely keeps; {_NUMBERED}"
        )
    return names.astype(np.int64)
