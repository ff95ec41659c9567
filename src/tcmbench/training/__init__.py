"""Sampling, the loop, checkpoints and records of a training.

Which dataset or loss it trains is none of its business.
"""
