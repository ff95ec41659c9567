"""Recall@1 of each class by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.metrics.engine.inputs import Device, Embeddings, LabelledRows, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.plan import Options
from tcmbench.metrics.engine.sweep import sweep


@dataclass(frozen=True, slots=True)
class ClassRecall:
    """C classes, ascending, those of one image too.

    Attributes:
        classes: [C] labels.
        num_images: [C] images of each.
        recall_at_1: [C] share of the class's images whose nearest other image is of the class.
    """

    classes: NDArray[Any]
    num_images: NDArray[np.int64]
    recall_at_1: NDArray[np.float64]


def class_recall(embeddings: Embeddings, labels: Labels, *, device: Device = None) -> ClassRecall:
    """Return recall@1 by class; their mean, weighted by images, is that of `recall_at_k`.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        device: where to compute; by default where the embeddings are. Results are the same.

    Raises:
        UserError: unusable embeddings or labels.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics.class_recall import class_recall
        >>> embeddings = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
        >>> class_recall(embeddings, np.array([0, 0, 1, 1])).recall_at_1
        array([1. , 0.5])
    """
    rows = prepare(embeddings, labels, device)
    ahead = sweep(rows, None, (1,), Options()).ahead
    assert ahead is not None
    return by_class(rows, ahead)


def by_class(rows: LabelledRows, ahead: Tensor) -> ClassRecall:
    """Return the same from `ahead`, [N] numbers of other classes' images before the first match."""
    hit = (ahead == 0).cpu().numpy()
    hits = np.bincount(rows.class_of.cpu().numpy()[hit], minlength=len(rows.classes))
    return ClassRecall(rows.classes, rows.sizes, hits / rows.sizes)
