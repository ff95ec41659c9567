"""A run's error rates of every class at the one threshold of a target false accept rate."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.errors import UserError
from tcmbench.plots.curves import pairs_of
from tcmbench.tables.per_class import read_classes, read_utility
from tcmbench.tables.runs import MeasuredRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Operating:
    """False accept and false reject rate of each class [T] at `threshold` (L2 distance).

    Over all pairs, the false accept rate at `threshold` is `target`.
    """

    run: MeasuredRun
    target: float
    threshold: float
    far: "NDArray[np.float64]"
    frr: "NDArray[np.float64]"

    @property
    def missed(self) -> float:
        """Share of the classes whose false accept rate is above twice the target."""
        return float((self.far > 2 * self.target).mean())


def read_operating_pairs(
    folders: Iterable[Path], dataset: str, target: float | None
) -> tuple[list[tuple[Operating, Operating]], list[str]]:
    """Read base and tcm of each backbone and loss; see `read_operating` and `pairs_of`."""
    pairs, notes = pairs_of(folders, dataset)
    return [
        (read_operating(base, target), read_operating(tcm, target)) for base, tcm in pairs
    ], notes


def read_operating(run: MeasuredRun, target: float | None = None) -> Operating:
    """Read the rates of a run where its false accept rate over all pairs is `target`.

    The ends of the calibration range are exact: there the rates are those stored. In between, the
    rate over all pairs is the mean of the classes' rates weighted by their negative pairs, and all
    is linear between two stored thresholds.

    Args:
        run: with `utility.parquet`; with `classes.parquet` for a target inside the range.
        target: false accept rate; `None` is the lower end of the range, at d_min.

    Raises:
        UserError: a range set by false reject rates, a target outside it, or a missing file.
    """
    import numpy as np

    ends = run.metrics.get("far_range")
    if not ends:
        raise UserError(
            f"{run.folder} was calibrated by false reject rates; evaluate it with --far"
        )
    low, high = map(float, ends)
    wanted = low if target is None else target
    if not low <= wanted <= high:
        raise UserError(
            f"a false accept rate of {wanted:g} lies outside the calibration range of "
            f"{run.folder}, {low:g} to {high:g}; choose one inside"
        )
    thresholds, classes, (sensitivity, specificity) = read_utility(
        run, ["sensitivity", "specificity"]
    )
    if wanted in (low, high):
        at = 0.0 if wanted == low else len(thresholds) - 1.0
    else:
        overall = _overall(run, classes, 1 - specificity)
        overall[[0, -1]] = low, high
        at = float(np.interp(wanted, overall, np.arange(len(thresholds))))
    left = min(int(at), len(thresholds) - 2)
    weight = at - left
    threshold, far, frr = (
        values[..., left] * (1 - weight) + values[..., left + 1] * weight
        for values in (thresholds, 1 - specificity, 1 - sensitivity)
    )
    return Operating(run, wanted, float(threshold), far, frr)


def _overall(
    run: MeasuredRun, classes: "NDArray[np.int64]", far: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Return [K] the false accept rate over all pairs; classes of one image are not among them."""
    import numpy as np

    path = run.measures / "classes.parquet"
    if not path.is_file():
        raise UserError(
            f"{path} does not exist, so only the ends of the calibration range are known; choose "
            "one of them or evaluate the run again"
        )
    sizes = read_classes(path)["num_images"]
    own = sizes.reindex(classes).to_numpy(dtype=np.float64)
    if not np.isfinite(own).all():
        raise UserError(f"{path} lacks classes of utility.parquet; evaluate the run again")
    weights = own * (float(sizes.sum()) - own)
    overall: NDArray[np.float64] = weights @ far / weights.sum()
    return overall
