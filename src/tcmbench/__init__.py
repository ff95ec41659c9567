"""tcm-bench: the Threshold-Consistent Margin loss and the OPIS metric, reproduced."""

__version__ = "0.1.0"
