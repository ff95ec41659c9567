"""The tables that an evaluation leaves, one row a class and threshold, or a class (.parquet)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.metrics.class_recall import ClassRecall
from tcmbench.metrics.engine.cosines import distance_to_cosine
from tcmbench.metrics.engine.rates import Array
from tcmbench.metrics.pair_rates import PairErrorRates
from tcmbench.metrics.scoring import OpisResult, utility_of


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


def write_classes(
    path: Path | str, found: ClassRecall, names: Mapping[int, str] | None = None
) -> None:
    """Write recall@1 in a row for each class, also for those of one image.

    Columns: class (int64), num_images (int64), recall_at_1 (float64), the share of the class's
    images whose nearest other image is of the class; and class_name, where classes have names.
    """
    columns = {"class": found.classes, "num_images": found.num_images}
    columns |= {"recall_at_1": found.recall_at_1}
    if names:
        columns["class_name"] = np.array([names.get(label, "") for label in found.classes.tolist()])
    _write_table(path, columns)


def _write_table(path: Path | str, columns: dict[str, NDArray[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
