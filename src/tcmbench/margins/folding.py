"""A training manifest, dealt out to folds without a class in common."""

from pathlib import Path

import numpy as np

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path, read_json, sha256
from tcmbench.common.paths import keep_apart
from tcmbench.common.provenance import provenance, write_record
from tcmbench.config.folds import Fold
from tcmbench.images.manifests import Item, read_manifest, write_manifest

# A class without two images has no positive pair: a fold has to have some to score.
SMALLEST = 2
TABLES = ("train.csv", "validation.csv")
# Any fixed one: classes that stand side by side are often alike and should be spread over folds.
SEED = 0


def parts(items: list[Item], fold: Fold) -> tuple[list[Item], list[Item]]:
    """Part images into those of the other folds, to train on, and those of this one, to score.

    Classes are shuffled by a fixed seed and dealt out one by one: folds differ by at most one.

    Raises:
        UserError: a fold would have fewer than two classes.
    """
    labels = np.unique([item.label for item in items])
    if len(labels) < SMALLEST * fold.of:
        raise UserError(
            f"{len(labels)} training classes cannot be dealt out to {fold.of} folds of at least "
            f"{SMALLEST}; lower 'validation.folds'"
        )
    dealt = np.random.default_rng(SEED).permutation(labels)[fold.number - 1 :: fold.of]
    scored = set(dealt.tolist())
    return (
        [item for item in items if item.label not in scored],
        [item for item in items if item.label in scored],
    )


def write_fold(manifest: Path, fold: Fold, out: Path) -> None:
    """Write train.csv, validation.csv and manifest.json of a fold into a folder.

    Args:
        manifest: the training manifest of a prepared dataset; nothing else of it is read but
            manifest.json beside it, which names the archives.
        fold: which one.
        out: folder; paths in the tables start where those of the manifest do.

    Raises:
        UserError: as `read_manifest` and `parts`.
    """
    keep_apart([out / name for name in (*TABLES, "manifest.json")], [manifest])
    pieces = parts(read_manifest(manifest), fold)
    for table, items in zip(TABLES, pieces, strict=True):
        with atomic_path(out / table) as temporary:
            write_manifest(temporary, items)
    note = manifest.with_name("manifest.json")
    record = read_json(note) if note.exists() else {}
    classes = [len({item.label for item in items}) for items in pieces]
    write_record(
        out / "manifest.json",
        record
        | {
            "fold": {"number": fold.number, "of": fold.of, "of_table": sha256(manifest)},
            "counts": {
                "train_images": len(pieces[0]),
                "validation_images": len(pieces[1]),
                "train_classes": classes[0],
                "validation_classes": classes[1],
            },
            "sha256": {table: sha256(out / table) for table in TABLES},
            "provenance": provenance(),
        },
    )
