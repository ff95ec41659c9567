"""Threshold consistency and recall as a torchmetrics `Metric`; needs torchmetrics."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.labels import checked_labels
from tcmbench.metrics.evaluation import evaluate_all_pairs

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
    from torchmetrics.utilities.distributed import gather_all_tensors
except ImportError:
    raise ImportError(
        "tcmbench.metrics.modular needs torchmetrics; install it with `pip install torchmetrics`"
    ) from None

_LARGEST = np.iinfo(np.int64).max
# The same in all processes: a type travels as its place here.
_TYPES = sorted((kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)), key=str)


class ThresholdConsistency(Metric):
    """OPIS, epsilon-OPIS and recall@k over all pairs of the images seen since the last reset.

    `compute` returns a dictionary of scalars: `opis`, `epsilon_opis`, `d_min` and `d_max`
    (distances), and `recall_at_{k}`; definitions as in `tcmbench.metrics.opis` and `recall_at_k`.
    The value is not a mean over batches: embeddings are kept, in the type they came in, and
    gathered from all processes. The order of updates and of processes does not matter (but among
    equally near images the one seen first is the nearer). Call `update`, not `forward`, for batches
    without a pair of one class and one of two.

    Every image must be given once. `torch.utils.data.DistributedSampler` repeats images until all
    processes have equally many: each copy is then its own image's nearest neighbour and a false
    hit. Let each process evaluate `Subset(dataset, range(rank, len(dataset), world_size))` without
    that sampler; a share may be of any size, and empty.

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
        """Remember a batch: embeddings [B, D] of any length but 0, and integer labels [B].

        An empty batch is passed over.

        Raises:
            UserError: labels that are no integers below 2^63, or another number of them.
        """
        if len(embeddings) == 0 == len(labels):
            return
        names = checked_labels(labels, len(embeddings))
        if names.max() > _LARGEST:
            raise UserError(
                f"labels reach {names.max()}, and torch gathers them as int64, which ends at "
                f"{_LARGEST}; number the classes from 0"
            )
        self.embeddings.append(embeddings.detach())
        self.labels.append(torch.from_numpy(names.astype(np.int64)).to(embeddings.device))

    def _sync_dist(self, dist_sync_fn: Any = gather_all_tensors, process_group: Any = None) -> None:
        """Gather from all processes, also where some have seen no image."""
        kept = process_group or self.process_group
        kinds = torch.stack(dist_sync_fn(self._kind(), group=kept))
        seen = kinds[kinds[:, 1] > 0]
        if not len(seen):
            return
        if (seen != seen[0]).any():
            raise UserError(
                "the processes' embeddings differ in type or width; give all of them those of one "
                "model in one precision"
            )
        if not self.embeddings:
            # What the others have, without a row: tensors that are gathered have one type.
            kind, width = seen[0].tolist()
            self.embeddings = [torch.empty(0, width, dtype=_TYPES[kind], device=self.device)]
            self.labels = [torch.empty(0, dtype=torch.int64, device=self.device)]
        super()._sync_dist(dist_sync_fn, process_group)

    def _kind(self) -> Tensor:
        """Return the type of the embeddings, as a number, and their width; 0 without any."""
        if not self.embeddings:
            return torch.zeros(2, dtype=torch.int64, device=self.device)
        first = self.embeddings[0]
        kind = [_TYPES.index(first.dtype), first.shape[-1]]
        return torch.tensor(kind, device=first.device)

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
