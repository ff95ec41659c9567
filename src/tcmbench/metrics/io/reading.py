"""Embeddings and labels from any file that is understood; nothing in a file is ever executed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.contents import head, recognised
from tcmbench.common.errors import UserError
from tcmbench.metrics.io.archive import archive, array
from tcmbench.metrics.io.formats import foreign
from tcmbench.metrics.io.source import Source
from tcmbench.metrics.io.tables import csv_file, dimensions, parquet_file
from tcmbench.metrics.io.tensors import safetensors_file, torch_file

EMBEDDINGS = ("embeddings", "embedding")
LABELS = ("labels", "label")
NAMES = ("class_names", "class_name")
PATHS = ("paths", "path")
ORIGIN = "weights_sha256"
_OPENERS = {"parquet": parquet_file, "safetensors": safetensors_file, "torch": torch_file}


@dataclass(frozen=True, slots=True)
class Keys:
    """What arrays are called in a file; None: by one of the usual names."""

    embeddings: str | None = None
    labels: str | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """Embeddings [N, D] and labels [N] of a file.

    Attributes:
        embeddings: as they are stored.
        labels: [N] integers; texts are numbered in the order of the alphabet.
        names: of the labels, as far as the file has any: its class names, or labels that are texts.
        paths: [N] of the images, or None.
        texts: whether the labels are texts in the file.
        weights_sha256: of the model that the embeddings are of, where they say it.
    """

    embeddings: NDArray[Any]
    labels: NDArray[Any]
    names: dict[int, str] = field(default_factory=dict)
    paths: NDArray[Any] | None = None
    texts: bool = False
    weights_sha256: str | None = None


def read_embeddings(path: Path | str, labels: Path | str | None = None) -> tuple[Any, Any]:
    """Return embeddings [N, D] and labels [N] of a file, as `read_labelled` does."""
    found = read_labelled(path, labels)
    return found.embeddings, found.labels


def read_labelled(
    path: Path | str, labels: Path | str | None = None, keys: Keys | None = None
) -> Labelled:
    """Read embeddings and labels, and class names and paths where there are any.

    Arrays stored as they are (numpy.savez, numpy.save) are mapped into memory, not loaded.

    Args:
        path: a .npz, .parquet, .csv, .pt or .safetensors file with both, or a .npy or .pt file of
            the embeddings alone; what it is, its content decides.
        labels: a file of the labels alone, for embeddings alone.
        keys: what they are called.

    Raises:
        UserError: a file is missing, is damaged or of another format, lacks an array, or holds
            Python objects.
    """
    keys = keys or Keys()
    if labels is not None:
        numbers, names = _numbered(_bare(Path(labels)))
        return Labelled(_bare(Path(path)), numbers, names, texts=bool(names))
    source = _opened(Path(path))
    if not isinstance(source, Source):
        raise UserError(
            f"{path} is one bare array; give its labels with --labels, or save both in one file as "
            "'embeddings' and 'labels'"
        )
    embeddings = source.get(_embedding_key(source, keys.embeddings))
    label_key = source.chosen(keys.labels, LABELS)
    if label_key is None:
        raise source.lacks(LABELS[0], "--label-key")
    numbers, names = _numbered(source.get(label_key))
    texts = bool(names)
    if (named := source.chosen(None, NAMES)) not in (None, label_key):
        names = _class_names(source, str(named), numbers)
    paths = source.chosen(None, PATHS)
    origin = source.chosen(None, (ORIGIN,))
    return Labelled(
        embeddings,
        numbers,
        names,
        source.get(paths) if paths else None,
        texts,
        _one_text(source.get(origin)) if origin else None,
    )


def _one_text(array: NDArray[Any]) -> str | None:
    """Return the text of an array without dimensions; a column of a table says it of no file."""
    return str(array) if array.ndim == 0 else None


def _embedding_key(source: Source, key: str | None) -> str:
    if (found := source.chosen(key, EMBEDDINGS)) is not None:
        return found
    sets = dimensions(source, source.names) if source.words == "column" else []
    if len(sets) == 1:
        return sets[0]
    if sets:
        raise UserError(
            f"{source.path} has several sets of numbered columns ({', '.join(sets)}); say which "
            "are the embeddings with --embedding-key"
        )
    raise source.lacks(EMBEDDINGS[0], "--embedding-key")


def _opened(path: Path) -> Source | NDArray[Any]:
    """Open a file by what it is."""
    try:
        start = head(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name a file in it") from None
    kind = found.kind if (found := recognised(start)) else None
    if kind in _OPENERS:
        return _OPENERS[kind](path)
    reason = foreign(path)
    if reason is None:
        return array(path) if kind == "npy" else archive(path)
    if reason.startswith("is a table of text"):
        return csv_file(path)
    raise UserError(f"{path} {reason}")


def _bare(path: Path) -> NDArray[Any]:
    opened = _opened(path)
    if isinstance(opened, Source):
        found = ", ".join(opened.names)
        raise UserError(
            f"{path} holds several arrays ({found}); with --labels, give one bare array a file"
        )
    return opened


def _numbered(labels: NDArray[Any]) -> tuple[NDArray[Any], dict[int, str]]:
    """Return labels as they are, or texts as numbers with their names."""
    if labels.dtype.kind not in "US":
        return labels, {}
    texts = np.array([_text(label) for label in labels.ravel().tolist()]).reshape(labels.shape)
    names, numbers = np.unique(texts, return_inverse=True)
    return numbers.reshape(labels.shape), dict(enumerate(names.tolist()))


def _class_names(source: Source, key: str, labels: NDArray[Any]) -> dict[int, str]:
    names = source.get(key)
    if names.shape != labels.shape:
        raise UserError(
            f"{source.path}: {key} has shape {names.shape} but labels {labels.shape}; give one "
            "name a row, that of its class"
        )
    return unique_names(zip(labels.tolist(), map(_text, names.tolist()), strict=True), source.path)


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def unique_names(named: Iterable[tuple[int, str]], path: Path) -> dict[int, str]:
    """Return the name of each label.

    Raises:
        UserError: a label has two names; `path` is where.
    """
    found: dict[int, str] = {}
    for label, name in named:
        if found.setdefault(label, name) != name:
            raise UserError(
                f"{path}: label {label} is called both '{found[label]}' and '{name}'; give one "
                "name a label"
            )
    return found
