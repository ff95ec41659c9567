"""Measured runs in, tables out: runs.csv, comparisons.csv, and the table a paper would print.

It reads what runs left: no torch, no images, no training.
"""
