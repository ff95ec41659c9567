"""Two sets of embeddings of the same classes: what differs, by how much, and how sure that is."""

from tcmbench.compare.differences import Comparison, Difference, compare

__all__ = ["Comparison", "Difference", "compare"]
