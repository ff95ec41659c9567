"""The one pass over all pairs: counts at thresholds, neighbours, exact to the rounding of a cosine.

It takes arrays and gives counts: no file, no figure of merit, no training.
"""
