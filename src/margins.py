"""Read TCM's margins off the false accept and false reject rates of training pairs.

python src/margins.py --run FOLDER --far 0.01 --frr 0.1
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(
        description="Print the cosines at which the training pairs of a run have a false reject "
        "rate (margin_positive) and a false accept rate (margin_negative), and what share of the "
        "pairs TCM would penalise there. No test image takes part."
    )
    source = root.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="a finished run, whose training images are embedded by its own network",
    )
    source.add_argument(
        "--embeddings",
        type=Path,
        metavar="FILE.npz",
        help="instead, embeddings and labels of training images",
    )
    for name, pairs in (("far", "negative"), ("frr", "positive")):
        kind = "accept" if name == "far" else "reject"
        root.add_argument(
            f"--{name}",
            type=float,
            required=True,
            metavar="RATE",
            help=f"wished false {kind} rate over all {pairs} pairs, between 0 and 1",
        )
    root.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto"
    )
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print the margins."""
    from tcmbench.common.devices import claim_device
    from tcmbench.margins.rates import margins, told, training_embeddings
    from tcmbench.metrics.io.archive import read_embeddings

    device = claim_device(arguments.device)
    embeddings, labels = (
        training_embeddings(arguments.run, device)
        if arguments.run
        else read_embeddings(arguments.embeddings)
    )
    found = margins(embeddings, labels, arguments.far, arguments.frr)
    print("\n".join(told(found, arguments.far, arguments.frr)))


if __name__ == "__main__":
    run_command(parser(), command)
