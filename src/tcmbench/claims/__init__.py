"""What the paper and its announcement claim, set against what was measured.

It reads the tables alone.
"""

from tcmbench.claims.write import write_claims

__all__ = ["write_claims"]
