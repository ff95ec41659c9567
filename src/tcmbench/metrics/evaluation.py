"""Everything at once: threshold consistency and recall from the same pass over the pairs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tcmbench.metrics.class_recall import ClassRecall, by_class
from tcmbench.metrics.engine.inputs import Device, Embeddings, checked_ks, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.plan import Options
from tcmbench.metrics.engine.sweep import sweep
from tcmbench.metrics.retrieval import hit_rates
from tcmbench.metrics.scoring import OpisResult, Scoring


@dataclass(frozen=True, slots=True)
class PairEvaluation:
    """What `evaluate_all_pairs` found.

    Attributes:
        consistency: as `opis` gives it.
        recall: as `recall_at_k` gives it, {k: share}.
        recall_by_class: recall@1 as `class_recall` gives it.
        one_pass: whether one float32 pass over the pairs was enough.
    """

    consistency: OpisResult
    recall: dict[int, float]
    recall_by_class: ClassRecall
    one_pass: bool


def evaluate_all_pairs(
    embeddings: Embeddings,
    labels: Labels,
    k: Iterable[int] = (1, 2, 4, 8),
    far_range: tuple[float, float] = (1e-2, 1e-1),
    beta: float = 1.0,
    epsilon: float = 0.1,
    num_thresholds: int = 101,
    *,
    frr_range: tuple[float, float] | None = None,
    device: Device = None,
    block_size: int | None = None,
    exact: bool | None = None,
    report: Callable[[int], None] | None = None,
    devices: Sequence[str] = (),
) -> PairEvaluation:
    """Measure OPIS and recall at every k together, in the time of one of them.

    The arguments are those of `opis` and `recall_at_k`, and so are the results. In one float32 pass
    over half the matrix, memory is that of the unit rows, [N, D] float32, and at most about 0.8 GB;
    on a GPU 1.4 GB.

    Args:
        embeddings: [N, D] NumPy array (a memory-mapped one is read once) or tensor.
        labels: [N] integers.
        k: numbers of neighbours, each >= 1.
        far_range: false accept rates at the ends of the calibration range.
        beta: weight of sensitivity against specificity.
        epsilon: share of the classes that counts as the worst.
        num_thresholds: distances at which rates are read.
        frr_range: false reject rates, instead of `far_range`.
        device: where to compute.
        block_size: rows of a tile.
        exact: float64 products throughout, or (False) float32 ones where that is sure.
        report: called now and then with a number of pairs done, N (N - 1) / 2 in all; not called
            on the exact path.
        devices: share the pass, a process each, as ("cuda:0", "cuda:1"), with exactly the result of
            the first alone; instead of `device`. A script needs `if __name__ == "__main__":` then.

    Raises:
        UserError: as `opis` and `recall_at_k`.

    Example:
        >>> import numpy as np
        >>> from tcmbench.metrics import evaluate_all_pairs
        >>> angle = np.radians([0, 4, 8, 30, 60, 90, 180, 184])
        >>> embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> labels = np.array([7, 7, 7, 9, 9, 9, 5, 5])
        >>> found = evaluate_all_pairs(embeddings, labels, k=(1, 2), far_range=(0.1, 0.2))
        >>> print(f"{found.consistency.opis:.6f}", found.recall)
        0.012937 {1: 0.875, 2: 0.875}
    """
    scoring = Scoring(far_range, beta, epsilon, num_thresholds, frr_range)
    ks = checked_ks(k)
    rows = scoring.checked(prepare(embeddings, labels, devices[0] if devices else device))
    options = Options(block_size, exact, report=report, devices=devices)
    found = sweep(rows, scoring.calibration(), tuple(sorted({1, *ks})), options)
    assert found.ahead is not None
    recalls = hit_rates(found, ks), by_class(rows, found.ahead)
    return PairEvaluation(scoring.result(rows, found), *recalls, found.one_pass)
