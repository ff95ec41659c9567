"""Names of classes, from the file of embeddings or from a manifest."""

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
        UserError: a broken manifest, or another number of names than of rows.
    """
    if manifest is not None:
        return {item.label: item.class_name for item in read_manifest(manifest)}
    with np.load(embeddings, allow_pickle=False) as archive:
        if "class_names" not in archive:
            return {}
        names = archive["class_names"]
    if names.shape != labels.shape:
        raise UserError(
            f"{embeddings}: class_names has shape {names.shape} but labels {labels.shape}; give "
            "one name a row, that of its class"
        )
    return dict(zip(labels.tolist(), map(str, names.tolist()), strict=True))
