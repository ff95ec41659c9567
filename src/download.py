"""Fetch the archives of a dataset and check them.

python src/download.py --dataset NAME --out FOLDER [--file NAME] [--url URL] [--expect FILE.json]
                       [--layout NAME] [--receipts FOLDER] [--trusted FILE.json] [--replace]
"""

import argparse
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    from tcmbench.datasets.base import Archive, Dataset

DESCRIPTION = """\
Fetch the archives of a dataset and check them.

Each file is tried from its mirrors in turn (src/tcmbench/datasets/mirrors.toml) and gets its name
in FOLDER only once its hash is right. A file that is there already is checked and used, so one that
you fetched by hand needs only to be put there.
"""
EPILOG = """\
interrupted?  What has arrived is kept as FOLDER/.NAME.part; the same command goes on from there.
proxies       by the usual variables: https_proxy, http_proxy, no_proxy; REQUESTS_CA_BUNDLE names
              the certificates of a proxy that opens TLS.
side by side  Several calls may share FOLDER: one downloads, the others wait for it.
receipts      NAME.verified.json says what was checked; while a file is unchanged since, the next
              call does not read it again.
no hash?      Of a file without a published hash, that of the first download is kept in
              FOLDER/trusted_hashes.json, and has to be found by every later call.

examples:
  python src/download.py --dataset cub --out data/cub
  python src/download.py --dataset cars196 --layout devkit --out data/cars196
  python src/download.py --dataset sop --out data/sop --url https://mirror.example/sop.zip
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--dataset", required=True, help="cub, cars196, sop, inat2018 or mnist")
    described.add_argument("--out", required=True, type=Path, help="folder for the archives")
    described.add_argument(
        "--layout", help="which form of the dataset to fetch (default: its first one)"
    )
    described.add_argument("--file", help="fetch only this archive (default: all of the layout)")
    described.add_argument(
        "--url", help="fetch from here (https, http, ftp or file) instead of the known addresses"
    )
    described.add_argument(
        "--expect", type=Path, help="JSON file with other hashes than the published ones"
    )
    described.add_argument(
        "--replace",
        action="store_true",
        help="fetch a file anew where another one stands in its place (default: refuse)",
    )
    described.add_argument(
        "--receipts", type=Path, help="folder for the receipts (default: that of the archives)"
    )
    described.add_argument(
        "--trusted",
        type=Path,
        help="JSON file that keeps hashes of first use; commit it to share them (default: "
        "trusted_hashes.json in --out)",
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Fetch what is asked for."""
    from tcmbench.common.paths import keep_apart
    from tcmbench.datasets import load
    from tcmbench.download import Trust, fetch
    from tcmbench.download.receipts import receipt_name
    from tcmbench.download.terms import show_terms

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    dataset = load(arguments.dataset)
    receipts = arguments.receipts or arguments.out
    trusted = arguments.trusted or arguments.out / "trusted_hashes.json"
    if arguments.expect:
        dataset = dataset.expecting(arguments.expect)
    archives = _wanted(dataset, arguments)
    written = [arguments.out / archive.name for archive in archives]
    written += [receipts / receipt_name(archive.name) for archive in archives]
    keep_apart([*written, trusted], [arguments.expect])
    if not arguments.expect:  # files of one's own are under terms of one's own
        show_terms(dataset, arguments.out)
    for archive in archives:
        fetch(
            archive.urls,
            arguments.out / archive.name,
            sha256=archive.sha256,
            md5=archive.md5,
            size=archive.size,
            receipts=receipts,
            trust=Trust(trusted, f"{arguments.dataset}/{archive.name}"),
            replace=arguments.replace,
        )


def _wanted(dataset: "Dataset", arguments: argparse.Namespace) -> list["Archive"]:
    layout = dataset.layout(arguments.layout)
    archives = [dataset.archive(arguments.file)] if arguments.file else list(layout.archives)
    if not arguments.url:
        return archives
    if len(archives) > 1:
        choices = ", ".join(archive.name for archive in archives)
        raise UserError(f"--url gives one file; say which with --file (one of {choices})")
    return [replace(archives[0], urls=(arguments.url,))]


if __name__ == "__main__":
    run_command(parser(), command)
