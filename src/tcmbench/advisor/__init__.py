"""One global threshold for a set of embeddings: where it lies, how sure that is, who it fits.

It knows rows, labels and names of classes: no run, no suite.
"""

from tcmbench.advisor.advice import Advice, ClassRates, advise

__all__ = ["Advice", "ClassRates", "advise"]
