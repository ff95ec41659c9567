"""Write one data set's miniature archives: python src/miniature.py --dataset cub --out FOLDER."""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    build = argparse.ArgumentParser(
        description="Compose real digit scans into a small data set and pack it in the public "
        "archives' layout, with expected.json (their SHA-256 and the counts of the split)."
    )
    build.add_argument("--dataset", required=True, help="cub, cars196, sop, inat2018 or mnist")
    build.add_argument("--out", required=True, type=Path, help="folder for the archives")
    build.add_argument(
        "--seed", type=int, default=0, help="same seed, same bytes (default: %(default)s)"
    )
    return build


def command(arguments: argparse.Namespace) -> None:
    """Write the archives that the arguments ask for."""
    # Imported here: NumPy and Pillow would make `--help` wait.
    from tcmbench.miniatures import write_miniature

    write_miniature(arguments.dataset, arguments.out, arguments.seed)


if __name__ == "__main__":
    run_command(parser(), command)
