"""Fetch the archives of a dataset and check them.

python src/download.py --dataset NAME --out FOLDER [--file NAME] [--url URL] [--expect FILE.json]
"""

import argparse
from dataclasses import replace
from pathlib import Path

from tcmbench.errors import UserError, run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Fetch the archives of a dataset; one that is there already is only checked."
    )
    described.add_argument("--dataset", required=True, help="cub, cars196, sop or inat2018")
    described.add_argument("--out", required=True, type=Path, help="folder for the archives")
    described.add_argument("--file", help="fetch only this archive (default: all)")
    described.add_argument(
        "--url", help="fetch from here (https, http, ftp or file) instead of the known addresses"
    )
    described.add_argument(
        "--expect", type=Path, help="JSON file with other hashes than the published ones"
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Fetch what is asked for."""
    from tcmbench.datasets import load
    from tcmbench.download import fetch

    dataset = load(arguments.dataset)
    if arguments.expect:
        dataset = dataset.expecting(arguments.expect)
    archives = (
        [dataset.archive(arguments.file)] if arguments.file else list(dataset.layout().archives)
    )
    if arguments.url:
        if len(archives) > 1:
            choices = ", ".join(archive.name for archive in archives)
            raise UserError(f"--url gives one file; say which with --file (one of {choices})")
        archives = [replace(archives[0], urls=(arguments.url,))]
    for archive in archives:
        fetch(
            archive.urls,
            arguments.out / archive.name,
            sha256=archive.sha256,
            md5=archive.md5,
            size=archive.size,
        )


if __name__ == "__main__":
    run_command(parser(), command)
