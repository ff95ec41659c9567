"""Threshold consistency and recall as a torchmetrics `Metric`; needs torchmetrics."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.evaluation import evaluate_all_pairs

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ImportError:
    raise ImportError(
        "tcmbench.metrics.modular needs torchmetrics; install it with `pip install torchmetrics`"
    ) from None


class ThresholdConsistency(Metric):
    """OPIS, epsilon-OPIS and recall@k over all pairs of the images seen since the last reset.

    `compute` returns a dictionary of scalars: `opis`, `epsilon_opis`, `d_min` and `d_max`
    (distances), and `recall_at_{k}`; definitions as in `tcmbench.metrics.opis` and `recall_at_k`.
    The value is not a mean over batches: embeddings are kept, in the type they came in, and
    gathered from all processes. The order of updates and of processes does not matter (but among
    equally near images the one seen first is the nearer). Call `update`, not `forward`, for batches
    without a pair of one class and one of two.

    Args:
        k: numbers of neighbours, each >= 1; empty for none.
        far_range: false accept rates at the ends of the calibration range.
        beta: weight of sensitivity against specificity.
        epsilon: share of the classes that counts as the worst.
        num_thresholds: distances at which rates are read.
        frr_range: false reject rates, instead of `far_range`.
        kwargs: options of `torchmetrics.Metric`, such as `sync_on_compute`.

    Raises:
        UserError: from `compute`, as `opis` does, or where there was no update.

    Example:
        >>> import torch
        >>> from tcmbench.metrics.modular import ThresholdConsistency
        >>> metric = ThresholdConsistency(k=(1, 2), far_range=(0.1, 0.2))
        >>> angle = torch.tensor([0, 4.3, 9.1, 30.7, 61.9, 93.2, 180.4, 185.8]).deg2rad()
        >>> embeddings = torch.stack([angle.cos(), angle.sin()], dim=1)
        >>> labels = torch.tensor([7, 7, 7, 9, 9, 9, 5, 5])
        >>> metric.update(embeddings[:3], labels[:3])
        >>> metric.update(embeddings[3:], labels[3:])
        >>> found = metric.compute()
        >>> print(f"{found['opis']:.6f} {found['recall_at_1']:.3f}")
        0.016226 0.875
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    plot_lower_bound = 0.0

    embeddings: list[Tensor]
    labels: list[Tensor]

    def __init__(
        self,
        k: Iterable[int] = (1, 2, 4, 8),
        far_range: tuple[float, float] = (1e-2, 1e-1),
        beta: float = 1.0,
        epsilon: float = 0.1,
        num_thresholds: int = 101,
        frr_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.k = tuple(k)
        self.options = {
            "far_range": far_range,
            "beta": beta,
            "epsilon": epsilon,
            "num_thresholds": num_thresholds,
            "frr_range": frr_range,
        }
        self.add_state("embeddings", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, labels: Tensor) -> None:
        """Remember a batch: embeddings [B, D] of any length but 0, and integer labels [B]."""
        self.embeddings.append(embeddings.detach())
        self.labels.append(labels.detach())

    def compute(self) -> dict[str, Tensor]:
        """Return the scalars, float64 but on a device without it, where the embeddings are."""
        if len(self.embeddings) == 0:
            raise UserError("no image was seen since the last reset; call update before compute")
        embeddings = dim_zero_cat(self.embeddings)
        options: dict[str, Any] = self.options
        found = evaluate_all_pairs(embeddings, dim_zero_cat(self.labels), self.k, **options)
        names = ("opis", "epsilon_opis", "d_min", "d_max")
        scalars = {name: getattr(found.consistency, name) for name in names}
        scalars |= {f"recall_at_{k}": value for k, value in found.recall.items()}
        return {
            name: torch.tensor(value, dtype=torch.float64, device=embeddings.device)
            for name, value in scalars.items()
        }

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draw one result of `compute`, or a list of them over steps, with matplotlib.

        Args:
            val: what to draw; by default `compute()`.
            ax: axes to draw into; by default new ones.

        Returns:
            The figure and its axes, as every torchmetrics metric does.
        """
        return self._plot(val, ax)
