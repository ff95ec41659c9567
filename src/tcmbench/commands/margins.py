"""Read TCM's margins off the false accept and false reject rates of training pairs."""

import argparse
from pathlib import Path

from tcmbench.commands._inputs import add_keys, keys_of


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
    add_keys(root)
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
    from tcmbench.metrics.io.reading import read_labelled

    device = claim_device(arguments.device)
    read = (
        training_embeddings(arguments.run, device)
        if arguments.run
        else read_labelled(arguments.embeddings, keys=keys_of(arguments))
    )
    found = margins(read.embeddings, read.labels, arguments.far, arguments.frr)
    print("\n".join(told(found, arguments.far, arguments.frr)))
