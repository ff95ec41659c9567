"""Any timm model as it is: its pooled features, its own preprocessing, published or own weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tcmbench.common.contents import head, recognised
from tcmbench.common.errors import UserError
from tcmbench.models.backbones import create_backbone
from tcmbench.models.hub import pretrained
from tcmbench.models.weights import loaded

Transform = Callable[[Image.Image], Tensor]

# Where training programs keep a network's tensors in a checkpoint, running averages first.
INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")


class PlainModel(nn.Module):
    """Images [B, 3, H, W], as `transform` gives them, -> features [B, D] of unit norm."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images."""
        features = self.backbone(images)
        if not isinstance(features, Tensor) or features.ndim != 2:
            raise UserError(
                f"{type(self.backbone).__name__} does not give one vector an image; choose another "
                "timm model"
            )
        return F.normalize(features.float(), dim=-1)


def plain_model(timm_name: str, weights: Path | None = None) -> tuple[PlainModel, Transform]:
    """Build a timm model without classifier, and the preprocessing that timm has for it.

    Args:
        timm_name: timm model name.
        weights: a .safetensors file or a checkpoint of torch.save; None: the published weights.

    Raises:
        UserError: there is no such model, or the weights cannot be had, opened or do not fit.
    """
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    backbone = pretrained(timm_name, {})[0] if weights is None else _own(timm_name, weights)
    expected: dict[str, Any] = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call]
    transform: Transform = create_transform(**expected)
    return PlainModel(backbone), transform


def _own(timm_name: str, path: Path) -> nn.Module:
    tensors = tensors_of(path)
    bare = _without_prefix(create_backbone(timm_name, {}).state_dict(), tensors)
    return loaded(timm_name, {}, bare or tensors, path)


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; nothing in it is executed.

    Raises:
        UserError: it is missing, or neither a .safetensors file nor a checkpoint of tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = recognised(head(path))
        if found is not None and found.kind == "safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path of the weights") from None
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}); fetch it again") from None
    except Exception as error:  # torch's reader raises whatever the bytes lead to
        raise UserError(
            f"{path} cannot be opened as weights ({shorten(str(error), 200)}); nothing but tensors "
            "is read, since other objects can run code: save the network's state_dict() alone"
        ) from None
    for key in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    return {name: value for name, value in tensors if isinstance(value, Tensor)}


def _without_prefix(network: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that a network has, under its names; none where they are not all there.

    In a checkpoint they may stand below those of a wrapper, beside a head of its own.
    """
    needed = [name for name in network if not name.endswith("num_batches_tracked")]
    ends = (name.removesuffix(needed[0]) for name in tensors if name.endswith(needed[0]))
    for prefix in sorted(ends, key=len):
        if all(prefix + name in tensors for name in needed):
            return {name: tensors[prefix + name] for name in network if prefix + name in tensors}
    return {}
