"""Losses, one file each: the name in the configuration is the name of the file.

A loss is a file with one public `torch.nn.Module`, called as `loss(embeddings, labels)`, and with
`similarity=` and `members=` where its `forward` takes them. A file dropped into this folder is a
loss; a file anywhere else is one when its path is given, and so is a class of an installed package.
Names with a leading underscore are helpers.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError, nearest

# Torch takes seconds to import, and the names alone are asked for without it.
if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).parent


def available_losses() -> list[str]:
    """Return the names of the losses in this folder, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def load_loss(
    name: str,
    params: Mapping[str, Any],
    file: Path | None = None,
    sizes: Mapping[str, int] = MappingProxyType({}),
    class_path: str | None = None,
) -> "nn.Module":
    """Build the loss called `name` with `params` as its constructor's arguments.

    Args:
        name: a file name of this folder without `.py`; with `file`, only a name for messages.
        params: keyword arguments; what is left out keeps the default of the class.
        file: the Python file of a loss outside this folder.
        sizes: arguments for a constructor that has parameters of these names, itself or by way of
            its base classes, such as the `num_classes` and `embedding_size` of a loss with a vector
            for each class; `params` come first.
        class_path: instead of a file, a class by its full name, such as
            `pytorch_metric_learning.losses.CircleLoss`.

    Raises:
        UserError: no such loss, file or class, the file fails to import or has not exactly one
            public `nn.Module` of its own, or a parameter is unknown, missing or refused.
    """
    if class_path is not None:
        loss, place = _named_class(name, class_path), class_path
    else:
        loss, place = _class_of_file(name, file)
    wanted = _parameters(loss)
    params = {key: value for key, value in sizes.items() if key in wanted} | dict(params)
    _check_params(name, loss, params)
    try:
        return loss(**params)
    except UserError as error:
        raise UserError(f"loss '{name}': {error}") from error
    except Exception as error:
        # A **kwargs may be handed on or used: only what it leads to knows.
        unknown = [key for key in params if key not in wanted]
        if unknown and isinstance(error, TypeError):
            raise _unknown(name, unknown[0], wanted) from error
        raise UserError(
            f"loss '{name}' ({place}) cannot be built from its parameters {params}: "
            f"{_told(error)}; correct them or the file"
        ) from error


def _named_class(name: str, class_path: str) -> "type[nn.Module]":
    """Import a class by its full name."""
    from torch import nn

    module, _, last = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), last)
    except (ImportError, ValueError, AttributeError) as error:
        raise UserError(
            f"loss '{name}': there is no class {class_path} ({error}); correct its name or install "
            "its package"
        ) from None
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise UserError(f"loss '{name}': {class_path} is no torch.nn.Module; name a loss")
    return found


def _class_of_file(name: str, file: Path | None) -> "tuple[type[nn.Module], str]":
    """Import the class of a file; also return the file's path."""
    path = Path(file) if file is not None else FOLDER / f"{name}.py"
    if file is None and name not in available_losses():
        raise UserError(f"there is no loss '{name}'; {nearest(name, available_losses())}")
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"loss '{name}': {path} is not a Python file (.py); correct its path")
    return _only_module_class(_import(name, path, built_in=file is None), path), str(path)


def _import(name: str, path: Path, *, built_in: bool) -> ModuleType:
    try:
        if built_in:
            return importlib.import_module(f"{__name__}.{name}")
        return _import_file(f"tcmbench_loss_{path.stem}", path)
    except Exception as error:
        raise UserError(
            f"loss '{name}': {path} fails to import: {_told(error)}; correct the file"
        ) from error


def _import_file(module_name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError("Python has no loader for it")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up by name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _only_module_class(module: ModuleType, path: Path) -> "type[nn.Module]":
    from torch import nn

    found = {
        value.__name__: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UserError(
            f"{path} must define exactly one public torch.nn.Module, but has {names}; "
            "prefix helpers with an underscore"
        )
    return found.popitem()[1]


def _parameters(loss: "type[nn.Module]") -> set[str]:
    """Return the names of a constructor's parameters, also those it hands on through **kwargs."""
    from torch import nn

    found: set[str] = set()
    for kind in loss.__mro__[: loss.__mro__.index(nn.Module)]:
        if "__init__" in vars(kind):
            known = inspect.signature(vars(kind)["__init__"]).parameters
            found |= known.keys()
            if not any(value.kind is value.VAR_KEYWORD for value in known.values()):
                break
    return found - {"self", "args", "kwargs"}


def _check_params(name: str, loss: "type[nn.Module]", params: Mapping[str, Any]) -> None:
    signature = inspect.signature(loss)
    known = signature.parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
        for key in params:
            if key not in signature.parameters:
                raise _unknown(name, key, signature.parameters)
    try:
        signature.bind(**params)
    except TypeError as error:
        raise UserError(f"loss '{name}': {error}; add it to the parameters") from None


def _unknown(name: str, key: str, known: Collection[str]) -> UserError:
    hint = nearest(key, known) if known else "it takes none"
    return UserError(f"loss '{name}' has no parameter '{key}'; {hint}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
