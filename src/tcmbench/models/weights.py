"""A file of weights, loaded whole into its network, and that cut to a backbone.

Every tensor of the backbone comes from the file and every tensor of the file is used, but for the
classifier, which is cut off: it may be absent or of another number of classes.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import Tensor, nn

from tcmbench.common.errors import UserError
from tcmbench.models.backbones import create_backbone

Tensors = Mapping[str, Tensor]

SHOWN = 3
# What timm calls the last norm, which depends on `global_pool`.
NORMS = ("norm.", "fc_norm.")
# Absent from old files, and made by torch.
COUNTER = "num_batches_tracked"


def cut(timm_name: str, model_args: dict[str, Any], path: Path) -> nn.Module:
    """Load a safetensors file into a network and return it without the classifier.

    Raises:
        UserError: the file does not hold the network's weights; the message says what differs.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise _refused(path, timm_name, shorten(str(error), 200), "fetch it again") from None
    return loaded(timm_name, model_args, tensors, path)


def loaded(timm_name: str, model_args: dict[str, Any], tensors: Tensors, path: Path) -> nn.Module:
    """Load tensors into a network and return it without the classifier.

    Args:
        timm_name: timm model name.
        model_args: further arguments of `timm.create_model`.
        tensors: by their names in the network.
        path: file that they are from, for the message.

    Raises:
        UserError: they are not the network's weights; the message says what differs.
    """
    import timm

    backbone: nn.Module = create_backbone(timm_name, model_args)
    try:
        whole = _loaded(timm_name, model_args, tensors)
    except (RuntimeError, KeyError) as error:
        network = timm.create_model(timm_name, pretrained=False, **model_args)
        empty = network.state_dict()
        classifier = {name: empty[name] for name in empty.keys() - backbone.state_dict().keys()}
        if not _differs_by_classifier(backbone.state_dict(), tensors, classifier):
            raise _refused(path, timm_name, *_diagnosis(empty, tensors, error)) from None
        whole = _loaded(timm_name, model_args, {**tensors, **classifier})
    backbone.load_state_dict({name: whole[name] for name in backbone.state_dict()})
    return backbone


def _loaded(timm_name: str, model_args: dict[str, Any], tensors: Tensors) -> Tensors:
    """Return the tensors as timm loads them.

    With a classifier timm's loading is strict; it also adapts position embeddings.
    """
    import timm

    found: Tensors = timm.create_model(
        timm_name,
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": dict(tensors)},
        **model_args,
    ).state_dict()
    return found


def _differs_by_classifier(backbone: Tensors, tensors: Tensors, classifier: Tensors) -> bool:
    """Say whether a file differs from its network by the classifier alone."""
    others = {name for name in tensors if name not in classifier}
    needed = {name for name in backbone if not name.endswith(COUNTER)}
    return needed <= others <= backbone.keys() and all(
        tensors[name].shape == backbone[name].shape
        for name in others
        if not name.startswith("pos_embed")  # adapted to the size of the image
    )


def _diagnosis(network: Tensors, tensors: Tensors, error: Exception) -> tuple[str, str]:
    """Say why a file does not fit a network, and the way out."""
    missing = sorted(name for name in network.keys() - tensors.keys() if not name.endswith(COUNTER))
    strange = sorted(tensors.keys() - network.keys())
    if prefix := _prefix(network, tensors):
        return (
            f"its names begin with '{prefix}', as those of a wrapped network do",
            f"save it again without '{prefix}' in front of each name",
        )
    norms = {name for name in (*missing, *strange) if name.startswith(NORMS)}
    if missing and norms.issuperset((*missing, *strange)):
        return (
            f"it has {_shown(strange) or 'no last norm'} where this network has {_shown(missing)}, "
            "as that of another global_pool",
            "set 'global_pool' in model_args to what the weights were trained with",
        )
    if missing or strange:
        return (
            f"it lacks {_shown(missing) or 'nothing'}, and has {_shown(strange) or 'nothing'} "
            "that the network has not",
            "it is of another network: fetch the right one, or name its own",
        )
    shapes = [
        f"'{name}' is {list(tensors[name].shape)} instead of {list(network[name].shape)}"
        for name in network
        if tensors[name].shape != network[name].shape
    ]
    told = "; ".join(shapes[:SHOWN]) or shorten(str(error), 200)
    return told, "fetch the right one, or give the network the same model_args"


def _prefix(network: Tensors, tensors: Tensors) -> str:
    """Return what stands in front of all names of a file, if they are the network's behind it."""
    first = next(iter(tensors), "")
    for place in [at for at, letter in enumerate(first, start=1) if letter == "."]:
        prefix = first[:place]
        bare = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
        if len(bare) == len(tensors) and len(bare & network.keys()) > len(bare) / 2:
            return prefix
    return ""


def _shown(names: Collection[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in list(names)[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _refused(path: Path, timm_name: str, cause: str, way_out: str) -> UserError:
    return UserError(f"{path} does not hold the weights of {timm_name} ({cause}); {way_out}")
