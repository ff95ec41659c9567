"""Unpack the archives of a dataset and list its training and test images.

python src/prepare.py --dataset NAME --archives FOLDER --out FOLDER [--manifests FOLDER]
                      [--receipts FOLDER] [--layout NAME] [--short-side PIXELS]
                      [--threads N] [--no-disk-check] [--no-count-check] [--expect FILE.json]
                      [--skip-unreadable LIST]
"""

import argparse
import signal
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Fill a folder with images/, train.csv, test.csv (path, label, class_name) and "
        "manifest.json. Each image is checked. An earlier result stays until the new one is "
        "whole; an interrupted call is continued by the next; images that are there already are "
        "not unpacked again."
    )
    described.add_argument("--dataset", required=True, help="cub, cars196, sop, inat2018 or mnist")
    described.add_argument(
        "--archives", required=True, type=Path, help="folder with the archives, as downloaded"
    )
    described.add_argument(
        "--out", required=True, type=Path, help="folder for the images; several workflows may share"
    )
    described.add_argument(
        "--manifests",
        type=Path,
        help="folder for train.csv, test.csv and manifest.json, whose paths are relative to --out "
        "(default: --out)",
    )
    described.add_argument(
        "--receipts",
        type=Path,
        help="folder with the receipts of src/download.py, which spare the archives another "
        "reading for their hash (default: --archives)",
    )
    described.add_argument(
        "--layout",
        help="form of the archives, for a dataset that is passed around in several (default: the "
        "first whose archives are all there)",
    )
    described.add_argument(
        "--short-side",
        type=int,
        metavar="PIXELS",
        help="reduce larger images to this short side, as JPEG of quality 95, in images_PIXELS/; "
        "smaller and quicker to read, but not the paper's protocol (default: keep the originals)",
    )
    described.add_argument(
        "--threads", type=int, help="images worked on at a time (default: one a core)"
    )
    described.add_argument(
        "--no-disk-check",
        action="store_true",
        help="begin even if too little disk seems to be free (default: refuse)",
    )
    described.add_argument(
        "--no-count-check",
        action="store_true",
        help="accept another number of images and classes, with a warning (default: refuse)",
    )
    described.add_argument(
        "--expect", type=Path, help="JSON file with other counts and hashes than the published ones"
    )
    described.add_argument(
        "--skip-unreadable",
        type=Path,
        metavar="LIST",
        help="text file with the images, one a line, that are left out where they cannot be "
        "decoded; noted in manifest.json and below every table (default: refuse)",
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Prepare the dataset."""
    from tcmbench.preparation.build import build

    # A scheduler's polite end is an interruption like any other.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build(
        arguments.dataset,
        arguments.archives,
        arguments.out,
        receipts=arguments.receipts,
        manifests=arguments.manifests,
        layout=arguments.layout,
        short_side=arguments.short_side,
        threads=arguments.threads,
        count_check=not arguments.no_count_check,
        disk_check=not arguments.no_disk_check,
        expect=arguments.expect,
        skip_unreadable=arguments.skip_unreadable,
    )


if __name__ == "__main__":
    run_command(parser(), command)
