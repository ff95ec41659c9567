"""Choose TCM's margins by runs that were scored on folds of the training classes.

python src/tune.py --out FOLDER RUN_FOLDER [RUN_FOLDER ...]
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(
        description="Write margins.csv: a row for each margins that were tried, with means and "
        "standard errors over folds and seeds, and for each dataset, backbone and loss the chosen "
        "ones: the lowest OPIS of those whose R@1 is not below the base loss's by more than the "
        "standard error of the difference."
    )
    root.add_argument("--out", required=True, type=Path, help="folder for margins.csv")
    root.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN_FOLDER",
        help="{dataset}~fold={number}of{folds}/{backbone}/{loss}/{base|tcm}/seed{number}",
    )
    return root


def command(arguments: argparse.Namespace) -> None:
    """Write the table."""
    from tcmbench.margins.choice import write_margins

    write_margins(arguments.runs, arguments.out)


if __name__ == "__main__":
    run_command(parser(), command)
