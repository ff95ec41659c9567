"""Measured runs in, tables out: runs.csv, comparisons.csv, and the table a paper would print."""

from tcmbench.tables.write import write_tables

__all__ = ["write_tables"]
