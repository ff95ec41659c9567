"""A loss that others wrote: what it returns is checked, and what fails in it is its fault."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.training.settings import LossSpec

_MEMORY = re.compile(r"memory|alloc", re.IGNORECASE)
_EXPECTED = (
    "a loss is called as loss(embeddings [B, D], labels [B]) in every step and returns one number "
    "to minimise, a tensor of shape [] that depends on the embeddings; mend it or choose another"
)


@contextmanager
def blamed(loss: LossSpec) -> Iterator[None]:
    """Turn what a file or package's loss raises into a sentence, but for a lack of memory.

    Raises:
        UserError: in its place.
    """
    try:
        yield
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        place = loss.class_path or loss.file
        if place is None or (isinstance(error, RuntimeError) and _MEMORY.search(str(error))):
            raise
        reason = shorten(f"{type(error).__name__}: {error}", 200)
        raise UserError(f"loss '{loss.name}' ({place}) fails ({reason}); {_EXPECTED}") from error


def checked(loss: LossSpec, value: Any, embeddings: Tensor) -> Tensor:
    """Return the value of a loss as a tensor of shape [].

    Raises:
        UserError: it is none, or has no gradient where the embeddings have one.
    """
    if not isinstance(value, Tensor):
        raise _returned(loss, f"a {type(value).__name__}")
    if value.numel() != 1:
        raise _returned(loss, f"a tensor of shape {list(value.shape)}")
    if torch.is_grad_enabled() and embeddings.requires_grad and not value.requires_grad:
        raise _returned(loss, "a number without gradient")
    return value.reshape(())


def independent(loss: LossSpec) -> UserError:
    """Return the error for a loss that gives the embeddings no gradient."""
    return _returned(loss, "a number that does not depend on the embeddings")


def _returned(loss: LossSpec, what: str) -> UserError:
    return UserError(f"loss '{loss.name}' returns {what}, but {_EXPECTED}")
