"""The options that say which file is read, and what its arrays are called; no command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcmbench.metrics.io.reading import Keys

FILE = (
    "embeddings [N, D] (any length, normalised here) and labels [N], integers or text: .npz, "
    ".parquet, .csv (a column of lists or one column a dimension), .pt or .safetensors"
)


def add_inputs(root: argparse.ArgumentParser) -> None:
    """Add --embeddings, --labels and the two keys."""
    root.add_argument(
        "--embeddings",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help=f"{FILE}; or embeddings alone: .npy or .pt",
    )
    root.add_argument(
        "--labels",
        type=Path,
        metavar="FILE.npy",
        help="labels [N], where --embeddings holds none",
    )
    add_keys(root)


def add_keys(root: argparse.ArgumentParser) -> None:
    """Add --embedding-key and --label-key."""
    for option, meaning in (
        (
            "--embedding-key",
            "array or column with the embeddings, or what numbered columns have before their "
            "numbers (default: embeddings or embedding)",
        ),
        ("--label-key", "array or column with the labels (default: labels or label)"),
    ):
        root.add_argument(option, metavar="NAME", help=meaning)


def keys_of(arguments: argparse.Namespace) -> "Keys":
    """Return what the arrays are called."""
    from tcmbench.metrics.io.reading import Keys

    return Keys(arguments.embedding_key, arguments.label_key)
