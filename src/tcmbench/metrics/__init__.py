"""Threshold consistency and retrieval quality of a set of embeddings, over all of its pairs.

Here lies what a user imports; `engine` counts, `search` finds neighbours, `io` reads and writes,
`estimate` says what it will take. None of it knows of training or of a dataset.
"""

from tcmbench.metrics.consistency import opis
from tcmbench.metrics.engine.cosines import cosine_to_distance, distance_to_cosine
from tcmbench.metrics.evaluation import PairEvaluation, evaluate_all_pairs
from tcmbench.metrics.pair_rates import PairErrorRates, error_rates
from tcmbench.metrics.retrieval import map_at_r, recall_at_k
from tcmbench.metrics.scoring import OpisResult
from tcmbench.metrics.search.gallery import query_gallery_recall
from tcmbench.metrics.search.gallery_rates import ErrorRates, query_gallery_error_rates

__all__ = [
    "ErrorRates",
    "OpisResult",
    "PairErrorRates",
    "PairEvaluation",
    "cosine_to_distance",
    "distance_to_cosine",
    "error_rates",
    "evaluate_all_pairs",
    "map_at_r",
    "opis",
    "query_gallery_error_rates",
    "query_gallery_recall",
    "recall_at_k",
]
