"""Check images of one's own where they lie, and list them in manifests.

python src/photos.py --name NAME (--folder FOLDER | --table FILE.csv [--images FOLDER])
                     [--train-share SHARE] [--split-seed N] [--skip-unreadable LIST]
                     [--half train|test] --out FOLDER
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command

# Of an entry of `datasets` in config.yaml.
ENTRY = ("folder", "table", "images", "train_share", "split_seed")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Decode every picture where it lies; write train.csv, test.csv (path, label, "
        "class_name, sha256) and manifest.json. The pictures are neither copied nor changed; those "
        "that were decoded before are not decoded again."
    )
    add = described.add_argument
    add("--name", required=True, help="name of the dataset")
    source = described.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--folder", type=Path, help="one folder a class, with pictures at any depth below"
    )
    source.add_argument(
        "--table", type=Path, metavar="FILE.csv", help="path,label[,split][,class_name]"
    )
    add("--images", type=Path, help="folder that the table's paths start from (default: its own)")
    add("--train-share", type=float, help="share of the classes to train on (default: 0.5)")
    add("--split-seed", type=int, help="draw these classes (default: the first by name)")
    add(
        "--skip-unreadable",
        type=Path,
        metavar="LIST",
        help="text file with pictures, one a line, left out if they cannot be decoded",
    )
    add("--half", choices=["train", "test"], help="write this manifest alone (default: both)")
    add("--threads", type=int, help="pictures decoded at a time (default: one a core)")
    add("--out", type=Path, required=True, help="folder for the three files")
    return described


def command(arguments: argparse.Namespace) -> None:
    """Check and list all pictures."""
    from tcmbench.photos.check import check

    given = vars(arguments)
    check(
        arguments.name,
        {key: given[key] for key in ENTRY if given[key] is not None},
        arguments.out,
        half=arguments.half,
        skip_unreadable=arguments.skip_unreadable,
        threads=arguments.threads,
    )


if __name__ == "__main__":
    run_command(parser(), command)
