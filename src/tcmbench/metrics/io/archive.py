"""Embeddings and labels in files of NumPy arrays (.npz, .npy), mapped into memory, not loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.io.mapping import mapped_array, mapped_member
from tcmbench.metrics.io.source import Source


def array(path: Path) -> NDArray[Any]:
    """Map a .npy file.

    Raises:
        UserError: it is damaged or holds Python objects.
    """
    try:
        return mapped_array(path)
    except OSError:
        raise
    except Exception as error:  # a damaged file makes NumPy's reader raise almost anything
        if isinstance(error, ValueError):
            _refuse_objects(str(path), error)
        raise UserError(
            f"{path} is not a whole .npy of plain numbers ({error}); save it again with numpy.save"
        ) from None


def archive(path: Path) -> Source:
    """Open a .npz file; its arrays are read when they are asked for.

    Raises:
        UserError: it is damaged, or one bare array.
    """
    with _whole(path):
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise UserError(
                f"{path} is one bare array; give its labels with --labels, or save a .npz with "
                "'embeddings' and 'labels'"
            )
        with opened:
            return Source(path, tuple(opened.files), lambda name: _member(path, name))


def _member(path: Path, name: str) -> NDArray[Any]:
    with _whole(path), np.load(path, allow_pickle=False) as opened:
        # NumPy's own writer adds .npy to a name; other tools leave it out.
        stored = opened.zip.namelist()
        member = next(member for member in (f"{name}.npy", name) if member in stored)
        try:
            mapped = mapped_member(path, opened.zip.getinfo(member))
            found: NDArray[Any] = opened[name] if mapped is None else mapped
        except ValueError as error:
            _refuse_objects(f"{path}: '{name}'", error)
            raise
    return found


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:  # as above
        raise UserError(
            f"{path} is not a whole .npz of plain arrays ({error}); save it again with numpy.savez"
        ) from None


def _refuse_objects(what: str, error: ValueError) -> None:
    # NumPy advises to allow pickle here, which would run whatever code the file holds.
    if "bject" in str(error):
        raise UserError(
            f"{what} holds Python objects, which are not opened, for they can run code; save plain "
            "numbers, such as labels.astype(numpy.int64), or text, with names.astype(str)"
        ) from None
