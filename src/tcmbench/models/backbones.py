"""timm's backbones: building one, and what its parts mean."""

import re
from textwrap import shorten
from typing import Any

import torch

from tcmbench.common.errors import UserError

# What torch says where a table of positions, a window or a layer is for images of another size.
_SIZES = re.compile(r"\b(sizes?|shapes?|dimensions?|divisible|must match)\b", re.IGNORECASE)


def create_backbone(name: str, model_args: dict[str, Any]) -> Any:
    """Build a timm backbone without classifier and without weights.

    Raises:
        UserError: timm has no such model, it refuses the arguments, or it gives no features.
    """
    import timm

    try:
        backbone = timm.create_model(name, pretrained=False, num_classes=0, **model_args)
    except Exception as error:  # each model refuses arguments in its own way
        raise UserError(
            f"timm cannot build '{name}' with {model_args or 'no arguments'} "
            f"({shorten(str(error), 200)}){renamed(name)}; check the backbone's entry in "
            "config.yaml"
        ) from None
    if not (hasattr(backbone, "forward_features") and hasattr(backbone, "num_features")):
        raise UserError(
            f"timm's '{name}' with {model_args or 'no arguments'} is a {type(backbone).__name__} "
            "without one last layer of features; leave features_only out of its model_args, or "
            "choose another backbone"
        )
    return backbone


def renamed(name: str) -> str:
    """Return a hint at what timm calls a model today, empty where the name is no old one."""
    from timm.models import get_deprecated_models

    now = get_deprecated_models().get(name)
    return f"; it is called '{now}' today" if now else ""


def first_tokens(backbone: Any) -> tuple[bool, int]:
    """Return whether token 0 is a class token, and how many tokens are no place of the image."""
    own = getattr(backbone, "cls_token", None) is not None
    is_class = bool(getattr(backbone, "has_class_token", own))
    return is_class, int(getattr(backbone, "num_prefix_tokens", is_class))


def last_norm(backbone: Any, width: int) -> str | None:
    """Return the name of the norm between pooling and classifier, where there is one."""
    named = dict(backbone.named_modules())
    for name in ("fc_norm", "head.norm"):
        if tuple(getattr(named.get(name), "normalized_shape", ())) == (width,):
            return name
    return None


def refuses_size(error: Exception) -> bool:
    """Say whether an exception is how a backbone refuses images, and not a lack of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return False
    if isinstance(error, RuntimeError):
        return _SIZES.search(str(error)) is not None
    return not type(error).__module__.startswith("torch.")
