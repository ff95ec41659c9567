"""Part a training manifest into what is trained on and what is scored, without a class in common.

python src/folds.py --manifest FILE.csv --fold NUMBER --of FOLDS --out FOLDER
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(
        description="Write train.csv, validation.csv and manifest.json of one fold of the classes."
    )
    add = root.add_argument
    add("--manifest", type=Path, required=True, help="training manifest: path, label, class_name")
    add("--fold", type=int, required=True, help="number of the fold to score, from 1")
    add("--of", type=int, required=True, help="how many folds there are, at least 2")
    add("--out", type=Path, required=True, help="folder to write")
    return root


def command(arguments: argparse.Namespace) -> None:
    """Write the fold."""
    from tcmbench.config.folds import Fold
    from tcmbench.margins.folding import write_fold

    write_fold(arguments.manifest, Fold(arguments.fold, arguments.of), arguments.out)


if __name__ == "__main__":
    run_command(parser(), command)
