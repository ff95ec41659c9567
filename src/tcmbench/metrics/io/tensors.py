"""Embeddings and labels in files of tensors: .pt, opened as weights only, and .safetensors."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.io.source import Source

_WAY_OUT = "save a dictionary of tensors and lists, or the arrays with numpy.savez"


def torch_file(path: Path) -> Source | NDArray[Any]:
    """Open what torch.save wrote: a dictionary, or one bare tensor.

    Only tensors, numbers, texts, lists and dictionaries are made (`weights_only`): no code runs.

    Raises:
        UserError: it holds anything else, or is damaged.
    """
    try:
        with warnings.catch_warnings():
            # Of a pickle that torch did not write, it warns before it refuses.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError) as error:
        # Torch's own message advises to allow code to run.
        cause = "it holds Python objects" if "weights_only" in str(error) else "it is damaged"
        raise UserError(
            f"{path} is not a PyTorch file of plain tensors ({cause}, and none of it is run); "
            f"{_WAY_OUT}"
        ) from None
    if isinstance(content, torch.Tensor):
        return _plain(content)
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, no dictionary; {_WAY_OUT}")
    return _source(path, content)


def safetensors_file(path: Path) -> Source:
    """Open a .safetensors file.

    Raises:
        UserError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return _source(path, load_file(path))
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}); save it again"
        ) from None


def _source(path: Path, content: Mapping[Any, Any]) -> Source:
    named = {str(name): value for name, value in content.items()}

    def get(name: str) -> NDArray[Any]:
        value = named[name]
        if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
            value = torch.stack(value)
        return _plain(value) if isinstance(value, torch.Tensor) else np.array(value)

    return Source(path, tuple(named), get, "tensor")


def _plain(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.detach()
    # NumPy has no bfloat16 nor the 8-bit floats; float32 holds each of them exactly.
    known = tensor.dtype in (torch.float16, torch.float32, torch.float64)
    plain: NDArray[Any] = (
        tensor.float() if tensor.is_floating_point() and not known else tensor
    ).numpy()
    return plain
