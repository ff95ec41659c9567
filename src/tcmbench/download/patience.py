"""How long a mirror is borne with."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one mirror; times in seconds.

    Attributes:
        timeout_s: nothing arrives for so long: the connection is given up and made anew.
        tries: failures in a row without a new byte, after which the next mirror is asked.
        pause_s: pause after the first failure; it doubles with each one that follows.
        longest_pause_s: bound of every pause, also of one that a server asks for.
    """

    timeout_s: float = 60.0
    tries: int = 5
    pause_s: float = 1.0
    longest_pause_s: float = 300.0

    def pause(self, failures: int, asked: float | None = None) -> float:
        """Return the pause after so many failures in a row; `asked` is the server's Retry-After."""
        if asked is not None:
            return min(asked, self.longest_pause_s)
        # Jitter: many jobs of a cluster that failed together do not come back together.
        doubled = self.pause_s * 2.0 ** (failures - 1)
        return float(min(doubled, self.longest_pause_s) * random.uniform(0.5, 1))
