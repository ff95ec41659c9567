"""Threshold consistency and retrieval quality of a set of embeddings, over all of its pairs."""

from tcmbench.metrics.consistency import opis
from tcmbench.metrics.evaluation import PairEvaluation, evaluate_all_pairs
from tcmbench.metrics.retrieval import map_at_r, recall_at_k
from tcmbench.metrics.scoring import OpisResult

__all__ = [
    "OpisResult",
    "PairEvaluation",
    "evaluate_all_pairs",
    "map_at_r",
    "opis",
    "recall_at_k",
]
