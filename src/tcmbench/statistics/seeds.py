"""Intervals for differences measured on the same seeds."""

from collections.abc import Sequence


def paired_t_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the two-sided Student t interval of the mean of paired differences.

    mean ± t(level, n − 1) · s / √n, with s the sample standard deviation (n − 1 in the divisor).
    It rests on differences that are independent and about normal, which few seeds cannot show.

    Args:
        differences: one number a seed, in any unit; the interval has the same unit.
        level: probability that the interval is built to cover the true mean.

    Raises:
        ValueError: fewer than two differences: one seed says nothing about the spread.
    """
    import numpy as np
    from scipy import special

    count = len(differences)
    if count < 2:
        raise ValueError(f"a t-interval needs at least two differences, got {count}")
    values = np.asarray(differences, dtype=np.float64)
    centre = float(values.mean())
    quantile = float(special.stdtrit(count - 1, 0.5 + level / 2))
    half = quantile * float(values.std(ddof=1)) / count**0.5
    return centre - half, centre + half
