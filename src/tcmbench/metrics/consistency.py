"""OPIS and epsilon-OPIS: how much the best trade-off at one threshold differs between classes."""

from tcmbench.metrics.engine.inputs import Device, Embeddings, prepare
from tcmbench.metrics.engine.labels import Labels
from tcmbench.metrics.engine.plan import Options
from tcmbench.metrics.engine.sweep import sweep
from tcmbench.metrics.scoring import OpisResult, Scoring


def opis(
    embeddings: Embeddings,
    labels: Labels,
    far_range: tuple[float, float] = (1e-2, 1e-1),
    beta: float = 1.0,
    epsilon: float = 0.1,
    num_thresholds: int = 101,
    *,
    frr_range: tuple[float, float] | None = None,
    device: Device = None,
    block_size: int | None = None,
    exact: bool | None = None,
) -> OpisResult:
    """Measure the Operating-Point-Inconsistency Score (arXiv 2307.04047) over all pairs.

    Rows are L2-normalised; the distance is sqrt(2 - 2 cosine); a pair is accepted at threshold d if
    its distance is <= d. For class i, sensitivity is the share of within-class pairs accepted and
    specificity the share rejected of the pairs with exactly one image in i. Utility is
    (1 + beta^2) spec sens / (beta^2 spec + sens), and 0 where both are 0. The range ends are the
    smallest distances at which the false accept rate over all negative pairs reaches `far_range`,
    exactly. Averages over the range are trapezoidal integrals over `num_thresholds` distances
    divided by d_max - d_min.

    Classes of one image are left out, but their images are negatives of the others. epsilon-OPIS
    compares the max(1, round(epsilon T)) classes of lowest mean utility over the range (round half
    to even) with the rest.

    Distances are right to 1e-6, mostly to 1e-7, whatever the tile, row order or device; `exact`
    ones have the same bits. To another program a pair this near a threshold may lie on its other
    side. Sensitivities are exact counts at the thresholds given back. Without `exact` a threshold
    divides a class's negative pairs within the width of a bin (about 1e-4) evenly; scores are
    computed a second time from bins twice as wide, and wherever the two differ by more than 2e-6 of
    the score, or an end of the range lies among equal distances, pairs are counted as with `exact`.

    Args:
        embeddings: [N, D] NumPy array or tensor, any real type, rows of any length but 0.
        labels: [N] integers.
        far_range: two false accept rates, 0 < low < high < 1.
        beta: weight of sensitivity against specificity, > 0.
        epsilon: share of the classes that counts as the worst, 0 < epsilon < 1.
        num_thresholds: K >= 2.
        frr_range: instead of `far_range`, two false reject rates over all positive pairs; d_max is
            the smallest distance with a rate <= low, d_min the smallest with a rate <= high.
        device: where to compute; by default where the embeddings are. Results are the same.
        block_size: side of a tile of pairs; memory is O(N D + block_size^2). Results are the same.
        exact: float64 products in several passes (True), or one float32 pass wherever that is sure
            (False). By default exact below 2,048 images.

    Returns:
        An `OpisResult`.

    Raises:
        UserError: unusable embeddings or labels, an option out of its range, or what cannot be
            measured: fewer than two classes of two images, a rate below that of one pair, both ends
            of the range at one distance, an epsilon that leaves no class.

    Example:
        Eight images of three classes, given as angles. Class 7 is tight, class 9 wide.

        >>> import numpy as np
        >>> from tcmbench.metrics import opis
        >>> angle = np.radians([0, 4, 8, 30, 60, 90, 180, 184])
        >>> embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> result = opis(embeddings, np.array([7, 7, 7, 9, 9, 9, 5, 5]), far_range=(0.1, 0.2))
        >>> result.classes
        array([5, 7, 9])
        >>> print(f"{result.opis:.6f} in [{result.d_min:.4f}, {result.d_max:.4f}]")
        0.012937 in [0.5176, 0.9389]
    """
    scoring = Scoring(far_range, beta, epsilon, num_thresholds, frr_range)
    rows = scoring.checked(prepare(embeddings, labels, device))
    found = sweep(rows, scoring.calibration(), (), Options(block_size, exact))
    return scoring.result(rows, found)
