"""Sampling, the loop, checkpoints and records of a training, and what one costs.

Which dataset or loss it trains is none of its business.
"""
