"""Results that travel: runs packed into one sealed file, and checked where they arrive."""

from tcmbench.bundles.pack import pack
from tcmbench.bundles.verify import Verdict, verify

__all__ = ["Verdict", "pack", "verify"]
