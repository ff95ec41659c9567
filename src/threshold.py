"""Find one global distance threshold for a file of embeddings, and say which classes it fits.

Usage: python src/threshold.py --embeddings FILE.npz --far 0.01 [--out FOLDER]
"""

import argparse
import sys
from pathlib import Path

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = root.add_argument
    add(
        "--embeddings",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="arrays 'embeddings' [N, D] (any length, normalised here), integer 'labels' [N] and, "
        "if you like, 'class_names' [N]",
    )
    target = root.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--far", type=float, metavar="RATE", help="false accept rate over all negative pairs"
    )
    target.add_argument(
        "--frr", type=float, metavar="RATE", help="instead, false reject rate over positive pairs"
    )
    add(
        "--names",
        type=Path,
        metavar="FILE.csv",
        help="manifest with the columns path, label and class_name",
    )
    add("--out", type=Path, metavar="FOLDER", help="also write threshold.json and threshold.html")
    add(
        "--device",
        choices=("cpu", "cuda"),
        help="where to compute, with the same result (default: cuda where there is one)",
    )
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print the advice, and write it where a folder was named."""
    from tcmbench.advisor import advise
    from tcmbench.advisor.names import class_names
    from tcmbench.advisor.text import text
    from tcmbench.advisor.write import NAMES, write_advice
    from tcmbench.common.devices import claim_kind
    from tcmbench.common.paths import keep_apart
    from tcmbench.metrics.io.archive import read_embeddings

    written = [arguments.out / name for name in NAMES] if arguments.out else []
    keep_apart(written, [arguments.embeddings, arguments.names])
    embeddings, labels = read_embeddings(arguments.embeddings)
    names = class_names(arguments.embeddings, labels, arguments.names)
    device = claim_kind(arguments.device)
    try:
        advice = advise(
            embeddings, labels, far=arguments.far, frr=arguments.frr, names=names, device=device
        )
    except UserError as error:
        raise UserError(f"{arguments.embeddings}: {error}") from None
    if arguments.out:
        write_advice(advice, arguments.embeddings, arguments.out)
    sys.stdout.write(text(advice))


if __name__ == "__main__":
    run_command(parser(), command)
