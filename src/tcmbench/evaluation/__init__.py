"""All that is measured of one set of embeddings: metrics.json, its tables, and its text."""

from tcmbench.evaluation.measuring import (
    FAR_RANGE,
    Definition,
    check_budget,
    measure,
    whole_curves,
)

__all__ = ["FAR_RANGE", "Definition", "check_budget", "measure", "whole_curves"]
