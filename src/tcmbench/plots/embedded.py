"""One run's embeddings, ready to draw; read without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcmbench.common.errors import UserError
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Embedded:
    """Embeddings `rows` [N, D] of unit norm, `labels` [N] and `paths` [N] of a run's test images.

    Paths are relative to the folder of the dataset.
    """

    run: MeasuredRun
    rows: "NDArray[np.float64]"
    labels: "NDArray[np.int64]"
    paths: "NDArray[np.str_]"


def read_embedded(run: MeasuredRun) -> Embedded:
    """Read `embeddings.npz` of a run.

    Raises:
        UserError: the file is missing, is not whole, or its arrays do not fit together.
    """
    import zipfile

    import numpy as np

    path = run.folder / "embeddings.npz"
    if not path.is_file():
        raise UserError(f"{path} does not exist; make it with src/embed.py")
    try:
        with np.load(path, allow_pickle=False) as archive:
            rows, labels, paths = (archive[name] for name in ("embeddings", "labels", "paths"))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a file of embeddings ({error}); make it again") from None
    if rows.ndim != 2 or not len(rows) or not len(rows) == len(labels) == len(paths):
        raise UserError(f"{path} has arrays that do not fit together; make it again")
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise UserError(f"{path} has rows of no direction; train the run again")
    return Embedded(run, wide / lengths, labels.astype(np.int64), paths)
