"""Densities of angles on the circle, and how much two of them overlap."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A tenth of a degree: the overlap of two kernels is then right to 2e-4.
POINTS = 3600
BANDWIDTH = np.radians(2)
GRID: NDArray[np.float64] = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)


def density(angles: ArrayLike, bandwidth: float = BANDWIDTH) -> NDArray[np.float64]:
    """Return the kernel density [POINTS] of angles (radians) at `GRID`, in 1/radian.

    The kernel is a normal distribution wrapped around the circle, with `bandwidth` (radians) as its
    standard deviation; the density is the inverse transform of the angles' empirical
    characteristic function times the kernel's (Mardia and Jupp 2000, section 3.5.7).
    """
    orders = np.arange(POINTS // 2 + 1)
    # Orders that the kernel leaves nothing of are not worth their sums.
    orders = orders[np.square(bandwidth * orders) < 80]
    moments = np.exp(-1j * np.outer(orders, np.asarray(angles, dtype=np.float64))).mean(axis=1)
    smooth = moments * np.exp(-np.square(bandwidth * orders) / 2)
    wave = np.fft.irfft(smooth, POINTS) * POINTS / (2 * np.pi)
    found: NDArray[np.float64] = np.maximum(wave, 0)
    return found


def overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the overlap coefficient ∫ min(f, g) of two densities at `GRID`: 0 apart, 1 the same.

    Source: Inman and Bradley 1989, Communications in Statistics 18(10).
    """
    return float(np.minimum(first, second).sum() * 2 * np.pi / POINTS)


def mean_direction(angles: ArrayLike) -> float:
    """Return the direction of the mean of unit vectors at `angles`, in [0, 2π)."""
    mean = np.exp(1j * np.asarray(angles, dtype=np.float64)).mean()
    return float(np.angle(mean) % (2 * np.pi))
