"""Compare two files of embeddings of the same images: R@1, OPIS, and how sure a difference is."""

import argparse
import sys
from pathlib import Path

from tcmbench.commands._inputs import FILE, add_keys, keys_of
from tcmbench.common.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__)
    add = root.add_argument
    add("a", type=Path, metavar="A", help=FILE)
    add("b", type=Path, metavar="B", help="the same of another model, rows in any order")
    add_keys(root)
    add(
        "--far",
        type=float,
        nargs=2,
        default=(0.01, 0.1),
        metavar=("LO", "HI"),
        help="calibration range of each file: false accept rates (default: 0.01 0.1)",
    )
    epsilon = "share of classes that epsilon-OPIS takes as the worst (default: %(default)s)"
    add("--epsilon", type=float, default=0.1, help=epsilon)
    add("--out", type=Path, metavar="FOLDER", help="also write compare.json and a figure")
    where = "where to compute, with the same result (default: cuda where there is one)"
    add("--device", choices=("cpu", "cuda"), help=where)
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print the comparison, and write it where a folder was named."""
    from tcmbench.common.devices import claim_kind
    from tcmbench.common.paths import keep_apart
    from tcmbench.compare import compare
    from tcmbench.compare.text import text
    from tcmbench.evaluation import Definition
    from tcmbench.metrics.io.reading import read_labelled

    files = arguments.a, arguments.b
    if arguments.out:
        names = (f"compare.{suffix}" for suffix in ("json", "svg", "pdf", "png"))
        keep_apart([arguments.out / name for name in names], files)
    first, second = (read_labelled(file, None, keys_of(arguments)) for file in files)
    definition = Definition(far_range=tuple(arguments.far), epsilon=arguments.epsilon)
    try:
        found = compare(first, second, definition, claim_kind(arguments.device))
    except UserError as error:
        raise UserError(f"{files[0]} and {files[1]}: {error}") from None
    if arguments.out:
        from tcmbench.compare.write import write_comparison

        write_comparison(found, files, arguments.out)
    sys.stdout.write(text(found, *map(str, files)))
