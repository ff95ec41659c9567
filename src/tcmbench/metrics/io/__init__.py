"""Files of embeddings, mapped into memory, and the files that an evaluation leaves.

It knows names and formats: nothing is measured here.
"""
