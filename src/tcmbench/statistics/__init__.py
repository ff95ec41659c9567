"""Intervals: over seeds where there are several, over test classes where there is one."""

from tcmbench.statistics.classes import MIN_CLASSES, RESAMPLES, opis_intervals, recall_interval
from tcmbench.statistics.seeds import paired_t_interval

__all__ = ["MIN_CLASSES", "RESAMPLES", "opis_intervals", "paired_t_interval", "recall_interval"]
