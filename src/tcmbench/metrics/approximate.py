"""Retrieval beyond what an exact search serves, with faiss."""

from tcmbench.metrics.search.approximate import ApproximateRetrieval, approximate_retrieval

__all__ = ["ApproximateRetrieval", "approximate_retrieval"]
