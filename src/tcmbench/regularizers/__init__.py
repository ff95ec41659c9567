"""Regularizers: an embedding batch or its similarity matrix in, a scalar added to the loss out.

They know tensors: no network, no file.
"""
