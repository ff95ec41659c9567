"""Names of classes, from the file of embeddings or from a manifest."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.images.manifests import read_manifest


def class_names(embeddings: Path, labels: NDArray[Any], manifest: Path | None) -> dict[int, str]:
    """Return the name of each label that has one.

    Args:
        embeddings: .npz file; its array `class_names` [N], if there is one, names the class of
            each row.
        labels: [N] those of the rows.
        manifest: table with `label` and `class_name`, which goes first.

    Raises:
        UserError: a broken manifest, another number of names than of rows, or two names of one
            label.
    """
    if manifest is not None:
        named = ((item.label, item.class_name) for item in read_manifest(manifest))
        return _unique(named, manifest)
    with np.load(embeddings, allow_pickle=False) as archive:
        if "class_names" not in archive:
            return {}
        try:
            names = archive["class_names"]
        except Exception as error:  # a damaged file makes NumPy's reader raise almost anything
            raise UserError(f"{embeddings}: class_names {_flaw(error)}") from None
    if names.shape != labels.shape:
        raise UserError(
            f"{embeddings}: class_names has shape {names.shape} but labels {labels.shape}; give "
            "one name a row, that of its class"
        )
    return _unique(zip(labels.tolist(), map(_text, names.tolist()), strict=True), embeddings)


def _flaw(error: Exception) -> str:
    if isinstance(error, ValueError) and "bject arrays" in str(error):
        return (
            "holds Python objects, which are not opened, for they can run code; save it as text, "
            "with class_names.astype(str)"
        )
    return f"is damaged ({error}); save the file again with numpy.savez"


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _unique(named: Iterable[tuple[int, str]], path: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for label, name in named:
        if found.setdefault(label, name) != name:
            raise UserError(
                f"{path}: label {label} is called both '{found[label]}' and '{name}'; give one "
                "name a label"
            )
    return found
