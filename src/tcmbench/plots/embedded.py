"""One run's embeddings, ready to draw; read without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Rows that are widened to float64 at a time.
BLOCK = 4_096
# Of a squared distance; many times what single precision loses over thousands of dimensions.
SLACK = 1e-3


@dataclass(frozen=True)
class Embedded:
    """Embeddings `stored` [N, D] with `lengths` [N], `labels` [N] and `paths` [N] of test images.

    Paths are relative to the folder of the dataset.
    """

    run: MeasuredRun
    stored: "NDArray[np.floating[Any]]"
    lengths: "NDArray[np.float64]"
    labels: "NDArray[np.int64]"
    paths: "NDArray[np.str_]"

    def unit(self, rows: "slice | NDArray[np.int64]" = slice(None)) -> "NDArray[np.float64]":
        """Return embeddings [n, D] of unit norm."""
        unit: NDArray[np.float64] = self.stored[rows] / self.lengths[rows, None]
        return unit

    def within(
        self, query: int, distance: float
    ) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
        """Return the rows [n], ascending, at most `distance` from one of them, and how far [n].

        Distances are L2, of unit vectors; the row is itself among the rows, at 0.
        """
        import numpy as np

        wanted = self.unit(slice(query, query + 1))
        # One product in single precision leaves few to be measured as they should be.
        cosines = self.stored.astype(np.float32, copy=False) @ wanted[0].astype(np.float32)
        (near,) = np.nonzero(2 - 2 * cosines / self.lengths <= distance**2 + SLACK)
        # The difference keeps near distances exact, where 2 − 2·cosine would cancel.
        distances = np.concatenate(
            [
                np.linalg.norm(self.unit(near[start : start + BLOCK]) - wanted, axis=1)
                for start in range(0, len(near), BLOCK)
            ]
        )
        inside = distances <= distance
        return near[inside], distances[inside]


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
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise UserError(f"{path} has rows of no direction; train the run again")
    return Embedded(run, rows, lengths, labels.astype(np.int64), paths)
