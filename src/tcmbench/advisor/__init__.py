"""One global threshold for a set of embeddings: where it lies, how sure that is, who it fits.

It knows rows, labels and names of classes: no run, no suite.
"""

from tcmbench.advisor.advice import Advice, ClassRates, advise
from tcmbench.advisor.drift import Drift, drift_of

__all__ = ["Advice", "ClassRates", "Drift", "advise", "drift_of"]
