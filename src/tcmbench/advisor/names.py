"""Names and images of classes, from the file of embeddings or from a manifest."""

from pathlib import Path

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.images.manifests import Item, read_manifest
from tcmbench.metrics.io.reading import Labelled


def known_classes(
    source: Labelled, manifest: Path | None
) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Return the name, and the paths of the images, of each label that has them.

    Args:
        source: the embeddings; its own names and paths are taken where there is no manifest.
        manifest: table with `path`, `label` and `class_name`, which goes first. Where the labels of
            the embeddings are texts, it is its `class_name` that has to be one of them.

    Raises:
        UserError: a broken manifest, or one that knows no class of the embeddings.
    """
    if manifest is None:
        return dict(source.names), _by_label(source)
    items = read_manifest(manifest)
    own = {name: label for label, name in source.names.items()} if source.texts else {}
    numbered = [(own.get(i.class_name) if source.texts else i.label, i) for i in items]
    there = set(np.unique(source.labels).tolist())
    known = [(label, item) for label, item in numbered if label is not None and label in there]
    if not known:
        raise UserError(
            f"{manifest} has none of the embeddings' {len(there):,} classes; give the manifest of "
            "the same images"
        )
    return _named(known), _pictured(known)


def _by_label(source: Labelled) -> dict[int, list[str]]:
    paths: dict[int, list[str]] = {}
    if source.paths is not None:
        for label, path in zip(source.labels.tolist(), source.paths.tolist(), strict=True):
            paths.setdefault(label, []).append(str(path))
    return paths


def _named(known: list[tuple[int, Item]]) -> dict[int, str]:
    return {label: item.class_name for label, item in known}


def _pictured(known: list[tuple[int, Item]]) -> dict[int, list[str]]:
    paths: dict[int, list[str]] = {}
    for label, item in known:
        paths.setdefault(label, []).append(item.path)
    return paths
