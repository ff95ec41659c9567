"""What the library raises where its input is wrong, for those who catch it."""

from tcmbench.common.errors import UserError

__all__ = ["UserError"]
