"""The metrics inside pytorch-metric-learning's testers; needs pytorch-metric-learning."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.labels import checked_labels, joined
from tcmbench.metrics.evaluation import PairEvaluation, evaluate_all_pairs
from tcmbench.metrics.retrieval import recall_at_k
from tcmbench.metrics.search.gallery import query_gallery_recall

try:
    from pytorch_metric_learning.utils.accuracy_calculator import EQUALITY, AccuracyCalculator
except ImportError:
    raise ImportError(
        "tcmbench.metrics.pml needs pytorch-metric-learning; "
        "install it with `pip install pytorch-metric-learning`"
    ) from None


class ConsistencyCalculator(AccuracyCalculator):  # type: ignore[misc]
    """An `AccuracyCalculator` that also knows `opis`, `epsilon_opis` and exact `recall_at_{k}`.

    Their definitions are those of `tcmbench.metrics`: the query's own image is left out by its
    index (the parent drops the nearest image, which may be an exact duplicate), and a query without
    a positive is a miss (the parent leaves it out). One pass over the pairs serves all of them.

    The parent's metrics of neighbours (`precision_at_1` and its kin) search among unit rows here,
    as ours do, so that the two differ in nothing else.

    Where queries and references are two sets, recall is exact too; OPIS is defined over the pairs
    of one set and is refused.

    Args:
        include: metrics to compute. By default OPIS, epsilon-OPIS and recall, and none of the
            parent's, whose default searches for all N neighbours of all N images.
        exclude: metrics to leave out.
        recall_at: numbers of neighbours, a metric `recall_at_{k}` for each.
        opis_options: `far_range`, `frr_range`, `beta`, `epsilon`, `num_thresholds` of `opis`.
        kwargs: options of the parent, such as `k` and `device`.

    Raises:
        UserError: options of the parent that these metrics cannot follow, and from
            `get_accuracy`, unusable embeddings or labels.

    Example:
        >>> import torch
        >>> from tcmbench.metrics.pml import ConsistencyCalculator
        >>> calculator = ConsistencyCalculator(
        ...     recall_at=(1,), opis_options={"far_range": (0.1, 0.2)}, device=torch.device("cpu")
        ... )
        >>> angle = torch.tensor([0, 4.3, 9.1, 30.7, 61.9, 93.2, 180.4, 185.8]).deg2rad()
        >>> embeddings = torch.stack([angle.cos(), angle.sin()], dim=1)
        >>> found = calculator.get_accuracy(embeddings, torch.tensor([7, 7, 7, 9, 9, 9, 5, 5]))
        >>> print(f"{found['opis']:.6f} {found['recall_at_1']}")
        0.016226 0.875
    """

    def __init__(
        self,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        recall_at: Iterable[int] = (1, 2, 4, 8),
        opis_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("avg_of_avgs") or kwargs.get("return_per_class"):
            raise UserError(
                "OPIS is one number for all classes; leave avg_of_avgs and return_per_class off, "
                "and read classes from tcmbench.metrics.opis"
            )
        if kwargs.get("label_comparison_fn", EQUALITY) not in (None, EQUALITY):
            raise UserError("OPIS compares labels for equality; leave label_comparison_fn out")
        self.recall_at = tuple(recall_at)
        self.opis_options = dict(opis_options or {})
        # The parent finds its metrics among its attributes, by their prefix.
        for k in self.recall_at:
            setattr(self, f"calculate_recall_at_{k}", partial(self._recall, k))
        self.own_metrics = {"opis", "epsilon_opis", *(f"recall_at_{k}" for k in self.recall_at)}
        super().__init__(tuple(include) or tuple(sorted(self.own_metrics)), exclude, **kwargs)
        self.knn_func: Any = partial(_nearest_by_cosine, self.knn_func)

    def get_accuracy(
        self,
        query: Any,
        query_labels: Any,
        reference: Any = None,
        reference_labels: Any = None,
        ref_includes_query: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the metrics by name, as the parent does.

        Args:
            query: [Q, D] embeddings, rows of any length but 0.
            query_labels: [Q] integers, or floats that are whole numbers.
            reference: [R, D]; by default the queries themselves.
            reference_labels: [R].
            ref_includes_query: whether the first Q references are the queries.
            kwargs: `include` and `exclude` for this call.

        Raises:
            UserError: unusable embeddings or labels.
        """
        labels, others = _numbered(query, query_labels, reference, reference_labels)
        found: dict[str, Any] = super().get_accuracy(
            query, labels, reference, others, ref_includes_query, **kwargs
        )
        return found

    def calculate_opis(self, all_pairs: PairEvaluation, **_: Any) -> float:
        """Return OPIS."""
        return all_pairs.consistency.opis

    def calculate_epsilon_opis(self, all_pairs: PairEvaluation, **_: Any) -> float:
        """Return epsilon-OPIS."""
        return all_pairs.consistency.epsilon_opis

    def _recall(self, k: int, recall: dict[int, float], **_: Any) -> float:
        return recall[k]

    def _get_accuracy(self, function_dict: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if self.own_metrics & function_dict.keys():
            kwargs |= self._measured(function_dict, **kwargs)
        found: dict[str, Any] = super()._get_accuracy(function_dict, **kwargs)
        return found

    def _measured(
        self,
        wanted: Mapping[str, Any],
        query: Tensor,
        query_labels: Tensor,
        reference: Tensor,
        reference_labels: Tensor,
        ref_includes_query: bool,
        **_: Any,
    ) -> dict[str, Any]:
        labels, others = query_labels.long(), reference_labels.long()
        one_set = ref_includes_query and len(reference) == len(query)
        if {"opis", "epsilon_opis"} & wanted.keys():
            if not one_set:
                raise UserError(
                    "OPIS is defined over the pairs of one set, and queries and references differ; "
                    "leave 'opis' and 'epsilon_opis' out of include, or give one set as both"
                )
            found = evaluate_all_pairs(query, labels, self.recall_at, **self.opis_options)
            return {"all_pairs": found, "recall": found.recall}
        if one_set:
            return {"recall": recall_at_k(query, labels, self.recall_at)}
        own = np.arange(len(query)) if ref_includes_query else None
        recall = query_gallery_recall(query, labels, reference, others, self.recall_at, own=own)
        return {"recall": recall}


def _nearest_by_cosine(
    search: Any, query: Tensor, k: int, reference: Tensor, ref_includes_query: bool
) -> Any:
    return search(normalize(query), k, normalize(reference), ref_includes_query)


def _numbered(
    query: Any, query_labels: Any, reference: Any, reference_labels: Any
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Number the classes from 0 in both sets: the parent takes labels as float32."""
    labels = checked_labels(query_labels, len(query), whole_floats=True)
    if reference is None:
        return np.unique(labels, return_inverse=True)[1], None
    others = checked_labels(reference_labels, len(reference), whole_floats=True)
    classes = joined(labels, others)
    numbers = (np.searchsorted(classes, part.astype(classes.dtype)) for part in (labels, others))
    return next(numbers), next(numbers)
