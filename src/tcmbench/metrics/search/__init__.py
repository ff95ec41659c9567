"""Nearest neighbours: in a separate gallery, exact, and with faiss where that is too slow.

It takes arrays: no file, no threshold consistency, no training.
"""
