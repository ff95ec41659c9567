"""Thresholds in both of the field's units: Euclidean distance of unit rows, and cosine."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError

Numbers: TypeAlias = float | NDArray[Any]


def distance_to_cosine(distance: Numbers) -> Any:
    """Return 1 - d^2 / 2, the cosine of unit rows at Euclidean distance d.

    A pair is accepted at distance <= d, which is at cosine >= this.

    Args:
        distance: a number, or an array of any shape, in [0, 2].

    Example:
        >>> from tcmbench.metrics import distance_to_cosine
        >>> distance_to_cosine(1.0)
        0.5
    """
    return 1 - np.square(distance) / 2 if isinstance(distance, np.ndarray) else 1 - distance**2 / 2


def cosine_to_distance(cosine: Numbers) -> Any:
    """Return sqrt(2 - 2 c), the Euclidean distance of unit rows whose cosine is c.

    Args:
        cosine: a number, or an array of any shape, in [-1, 1].

    Example:
        >>> from tcmbench.metrics import cosine_to_distance
        >>> cosine_to_distance(0.5)
        1.0
    """
    distance = np.sqrt(2 - 2 * np.asarray(cosine, dtype=np.float64))
    return distance if isinstance(cosine, np.ndarray) else float(distance)


def checked_distances(thresholds: Any) -> NDArray[np.float64]:
    """Return thresholds [K] as float64.

    Raises:
        UserError: they are no list, none, or not all distances.
    """
    distances = np.asarray(thresholds, dtype=np.float64)
    if distances.ndim != 1 or not len(distances) or not (distances >= 0).all():
        raise UserError(
            f"thresholds have shape {distances.shape}; give distances >= 0 in a list, such as [0.8]"
        )
    return distances
