"""Judge the claims of the paper by the tables of a suite.

python src/claims.py --tables FOLDER --out FOLDER [--pareto RUNS.csv]
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import OF, TITLES, run_command


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(
        description="Write claims.json, claims.md and claims.html: each claim, the paper's figure, "
        "ours with its interval, and a verdict."
    )
    builder.add_argument(
        "--tables", required=True, type=Path, help="folder with comparisons.csv and runs.csv"
    )
    builder.add_argument("--out", required=True, type=Path, help="folder for the three files")
    builder.add_argument(
        "--pareto",
        type=Path,
        metavar="RUNS.csv",
        help="runs.csv of the Pareto suite, if it was run",
    )
    builder.add_argument("--of", **OF)
    builder.add_argument("--titles", **TITLES)
    return builder


def command(arguments: argparse.Namespace) -> None:
    """Write the claims."""
    from tcmbench.claims import write_claims
    from tcmbench.tables.completeness import Whole
    from tcmbench.tables.names import use_titles

    use_titles(arguments.titles)
    whole = Whole(*arguments.of) if arguments.of else None
    write_claims(arguments.tables, arguments.out, arguments.pareto, whole)


if __name__ == "__main__":
    run_command(parser(), command)
