"""Intervals over seeds or over test classes, and the correlation on both sides of a break.

Numbers in, numbers out: no file, no figure.
"""

from tcmbench.statistics.classes import MIN_CLASSES, RESAMPLES, opis_intervals, recall_interval
from tcmbench.statistics.seeds import paired_t_interval

__all__ = ["MIN_CLASSES", "RESAMPLES", "opis_intervals", "paired_t_interval", "recall_interval"]
