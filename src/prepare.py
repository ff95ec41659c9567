"""Unpack the archives of a dataset and list its training and test images.

python src/prepare.py --dataset NAME --archives FOLDER --out FOLDER
                      [--no-count-check] [--expect FILE.json]
"""

import argparse
from pathlib import Path

from tcmbench.errors import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Fill a folder with images/, train.csv, test.csv (path, label, class_name) and "
        "manifest.json; nothing is changed there unless all of it succeeds."
    )
    described.add_argument("--dataset", required=True, help="cub, cars196, sop or inat2018")
    described.add_argument(
        "--archives", required=True, type=Path, help="folder with the archives, as downloaded"
    )
    described.add_argument("--out", required=True, type=Path, help="folder to fill")
    described.add_argument(
        "--no-count-check",
        action="store_true",
        help="accept another number of images and classes, with a warning (default: refuse)",
    )
    described.add_argument(
        "--expect", type=Path, help="JSON file with other counts than the published ones"
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Prepare the dataset."""
    from tcmbench.datasets.build import build

    build(
        arguments.dataset,
        arguments.archives,
        arguments.out,
        count_check=not arguments.no_count_check,
        expect=arguments.expect,
    )


if __name__ == "__main__":
    run_command(parser(), command)
