"""Tabulate and draw embeddings that were made elsewhere and measured by src/evaluate.py.

Usage: python src/entries.py --tables FOLDER --figures FOLDER --entry FOLDER TITLE [--entry ...]
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(
        description="Write entries.csv and entries.html, one row a file of embeddings, and the "
        "figure entries as .svg, .pdf and .png: the utility of each class."
    )
    add = builder.add_argument
    add("--tables", required=True, type=Path, metavar="FOLDER", help="folder for the tables")
    add("--figures", required=True, type=Path, metavar="FOLDER", help="folder for the figure")
    add(
        "--entry",
        nargs=2,
        action="append",
        required=True,
        metavar=("FOLDER", "TITLE"),
        help="folder with metrics.json and utility.parquet, and how it is called in print",
    )
    return builder


def command(arguments: argparse.Namespace) -> None:
    """Write table and figure."""
    from tcmbench.entries import write_entries

    named = [(Path(folder), title) for folder, title in arguments.entry]
    write_entries(named, arguments.tables, arguments.figures)


if __name__ == "__main__":
    run_command(parser(), command)
