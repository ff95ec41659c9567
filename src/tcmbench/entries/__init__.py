"""Embeddings that were made elsewhere, measured like the runs: a table and utility curves.

How they were made is not known here.
"""

from tcmbench.entries.write import write_entries

__all__ = ["write_entries"]
