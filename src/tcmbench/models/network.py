"""A timm backbone, a pooling, and a linear projection onto the unit sphere."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tcmbench.common.errors import UserError, nearest
from tcmbench.models.backbones import create_backbone, first_tokens, last_norm, refuses_size

POOLINGS = ("gem", "avg", "token")


@dataclass(frozen=True)
class ModelSpec:
    """What fixes the architecture; a part of every run's configuration."""

    timm: str
    pooling: str
    layer_norm: bool
    embedding_size: int
    freeze_batch_norm: bool
    model_args: dict[str, Any] = field(default_factory=dict)


class GeM(nn.Module):
    """Generalised-mean pooling with a learnable exponent, [B, C, H, W] -> [B, C].

    Source: Radenović et al. 2018, equation 3; the exponent starts at 3.
    """

    def __init__(self, exponent: float = 3.0, floor: float = 1e-6) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.tensor(exponent))
        self.floor = floor

    def forward(self, features: Tensor) -> Tensor:
        """Pool over the two spatial axes."""
        powered = features.clamp(min=self.floor).pow(self.exponent)
        return powered.mean(dim=(-2, -1)).pow(1.0 / self.exponent)


class EmbeddingModel(nn.Module):
    """Images [B, 3, H, W], normalised, -> embeddings [B, D] of unit norm.

    The head is the one of the official Recall@k code (netlib.py L105-133): pooling, an optional
    LayerNorm with affine parameters, a linear projection, L2 normalisation. A backbone whose own
    norm comes after pooling (timm's `fc_norm` or `head.norm`) keeps it, before that LayerNorm. The
    head computes in float32 also inside autocast, where powers and norms would lose half their
    digits.

    Raises:
        UserError: there is no such backbone or pooling, or the two do not fit together; on the
            first images also where the backbone takes another size.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        if spec.pooling not in POOLINGS:
            raise UserError(
                f"pooling '{spec.pooling}' is unknown; {nearest(spec.pooling, POOLINGS)}"
            )
        self.spec = spec
        self.backbone = create_backbone(spec.timm, spec.model_args)
        self.width = int(self.backbone.num_features)
        self.class_token, self.prefix_tokens = first_tokens(self.backbone)
        self.last_norm = last_norm(self.backbone, self.width)
        # Swin and its kin put the channels last.
        self.channels = -1 if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC" else 1
        self.pool = GeM() if spec.pooling == "gem" else None
        self.norm = nn.LayerNorm(self.width) if spec.layer_norm else nn.Identity()
        self.project = nn.Linear(self.width, spec.embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images."""
        features = self._features(images)
        with torch.autocast(features.device.type, enabled=False):
            pooled = self._pooled(features.to(torch.promote_types(features.dtype, torch.float32)))
            return F.normalize(self.project(self.norm(self._normed(pooled))), dim=-1)

    def _features(self, images: Tensor) -> Tensor:
        try:
            features: Any = self.backbone.forward_features(images)
        except Exception as error:  # timm's models refuse a size by whatever then fails
            if not refuses_size(error):
                raise
            raise UserError(
                f"{self.spec.timm} cannot take images of {list(images.shape[-2:])} pixels "
                f"({shorten(str(error), 200)}); set img_size in the backbone's model_args or crop "
                "in the recipe"
            ) from None
        if not isinstance(features, Tensor):
            raise UserError(
                f"{self.spec.timm} gives its features as a {type(features).__name__} and not as "
                "one tensor; choose a backbone with one map, or one row of tokens"
            )
        return features

    def _pooled(self, features: Tensor) -> Tensor:
        """Pool maps [B, C, H, W] (or channels last) or tokens [B, N, C] to [B, C]."""
        kind, tokens = self.spec.pooling, features.ndim == 3
        if kind == "token" and tokens and self.class_token:
            return features[:, 0]
        if kind == "avg" and tokens and features.shape[1] > self.prefix_tokens:
            return features[:, self.prefix_tokens :].mean(dim=1)
        if kind == "token" or features.ndim != 4:
            raise UserError(
                f"pooling '{kind}' does not fit {self.spec.timm}, whose features are "
                f"{list(features.shape)} with {int(self.class_token)} class tokens; choose another "
                f"of {', '.join(POOLINGS)}"
            )
        maps = features.movedim(self.channels, 1)
        return maps.mean(dim=(-2, -1)) if self.pool is None else cast(Tensor, self.pool(maps))

    def _normed(self, pooled: Tensor) -> Tensor:
        """Apply the norm that timm's own head has after pooling: pretraining has trained it."""
        if self.last_norm is None:
            return pooled
        norm = self.backbone.get_submodule(self.last_norm)
        # Norms of maps take a map of one place.
        over_maps = "2d" in type(norm).__name__
        return cast(
            Tensor, norm(pooled[:, :, None, None]).flatten(1) if over_maps else norm(pooled)
        )

    def train(self, mode: bool = True) -> "EmbeddingModel":
        """Switch to training mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.spec.freeze_batch_norm:
            for module in self.modules():
                # timm fuses batch norm and activation into subclasses of BatchNorm2d.
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def freeze_idle(model: nn.Module, size: int) -> None:
    """Freeze the parameters that no embedding depends on, such as those of timm's classifier head.

    Processes that share a step would wait for their gradients. Nothing is drawn or learnt.

    Args:
        model: images -> embeddings.
        size: pixels of a side of its images.
    """
    training = model.training
    model.eval()
    parameters = [value for value in model.parameters() if value.requires_grad]
    image = parameters[0].new_zeros(1, 3, size, size)
    found = torch.autograd.grad(model(image).sum(), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.requires_grad_(gradient is not None)
    model.train(training)


def load_tensors(module: nn.Module, path: Path) -> None:
    """Copy the tensors of a safetensors file into a module.

    Raises:
        UserError: the file is missing or damaged, or its tensors do not fit the module.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"weights {path} do not exist; run the rule that makes them") from None
    except (SafetensorError, RuntimeError) as error:
        raise UserError(
            f"weights {path} do not fit or are damaged ({shorten(str(error), 200)}); delete and "
            "make them again"
        ) from None


def save_tensors(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and buffers as one safetensors file, atomically."""
    from safetensors.torch import save_file

    from tcmbench.common.files import atomic_path

    state = module.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
