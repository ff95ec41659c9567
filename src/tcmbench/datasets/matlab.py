"""The tables of the Cars196 label files, which are MATLAB files (version 5).

File format: MathWorks, "MAT-File Format": a header of 128 bytes, then elements, each with its type
and its number of bytes in front.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from tcmbench.common.contents import HEAD, MATLAB, demand
from tcmbench.common.errors import UserError

HEADER = 128
COMPRESSED, MATRIX = 15, 14


def columns(
    content: bytes, source: str, fields: Mapping[str, Callable[[Any], Any]]
) -> list[tuple[Any, ...]]:
    """Return these fields of each record of `annotations`, converted, in file order.

    They are found by name: their places differ between the published files.

    Args:
        content: the MATLAB file.
        source: what it is called, for messages.
        fields: the name and the type of each field.

    Raises:
        UserError: the file is damaged, lacks a field, or is something else.
    """
    demand(content[:HEAD], source, MATLAB)
    with _sound(source):
        table = _variable(content, "annotations")
        # Each value is an array of its own: (1, 1) for a number, one element for a text.
        read = [[kind(value.item()) for value in table[name]] for name, kind in fields.items()]
        return list(zip(*read, strict=True))


def class_names(content: bytes, source: str) -> dict[int, str]:
    """Return `class_names` by class id, which counts from 1.

    Raises:
        UserError: the file is damaged, has no such table, or is something else.
    """
    demand(content[:HEAD], source, MATLAB)
    with _sound(source):
        values = _variable(content, "class_names")
        return {i: str(value.item()) for i, value in enumerate(values, start=1)}


def _variable(content: bytes, name: str) -> Any:
    from scipy.io import loadmat

    _check(content)
    return loadmat(BytesIO(content), variable_names=[name])[name].ravel()


def _check(content: bytes) -> None:
    """Refuse bytes that are not as they were written, on which scipy may crash the process.

    The published files are compressed, so each element has a checksum, which zlib sees to.
    """
    at = HEADER
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        at += 8
        if kind == COMPRESSED:
            zlib.decompress(content[at : at + size])
        elif kind != MATRIX:
            raise ValueError(f"no element begins at byte {at - 8}")
        at += size


@contextmanager
def _sound(source: str) -> Iterator[None]:
    try:
        yield
    # A damaged file makes scipy raise almost anything.
    except Exception as error:
        raise UserError(
            f"{source} is truncated or damaged, or is not the published file ({error!r}); delete "
            "it and download it again"
        ) from None
