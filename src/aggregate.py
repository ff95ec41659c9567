"""Gather measured runs into tables.

python src/aggregate.py --suite NAME --out FOLDER RUN_FOLDER [RUN_FOLDER ...]
"""

import argparse
import sys
from pathlib import Path

from tcmbench.common.commands import OF, TITLES, run_command


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(
        description="Write runs.csv (one row a run) and comparisons.csv, .md, .tex and .html "
        "(one row a pair of base loss and base loss + TCM; change = +TCM minus base)."
    )
    builder.add_argument("--suite", required=True, help="name of the suite, for the footnote")
    builder.add_argument("--out", required=True, type=Path, help="folder for the tables")
    builder.add_argument(
        "--paper",
        type=Path,
        metavar="FILE.csv",
        help="the paper's table (report/paper_results.csv)",
    )
    builder.add_argument(
        "--published",
        type=Path,
        metavar="FILE.csv",
        help="R@1 of base losses in their own papers (report/published_recall.csv)",
    )
    builder.add_argument("--of", **OF)
    builder.add_argument(
        "--evaluation",
        default="",
        metavar="NAME",
        help="folder in each run with what was measured (default: the run's own)",
    )
    builder.add_argument("--titles", **TITLES)
    builder.add_argument(
        "--tuned",
        type=Path,
        metavar="FILE.csv",
        help="table that TCM's margins were chosen in, where each row has its own",
    )
    builder.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN_FOLDER",
        help="{dataset}/{backbone}/{loss}/{base|tcm}/seed{number} with metrics.json and run.json; "
        "intervals of one seed also need utility.parquet and classes.parquet",
    )
    return builder


def command(arguments: argparse.Namespace) -> None:
    """Write the tables; name on standard error each run that found no partner."""
    from tcmbench.tables.completeness import Whole
    from tcmbench.tables.names import use_titles
    from tcmbench.tables.write import write_tables

    use_titles(arguments.titles)
    notes = write_tables(
        arguments.runs,
        arguments.suite,
        arguments.out,
        arguments.paper,
        arguments.published,
        Whole(*arguments.of) if arguments.of else None,
        arguments.evaluation,
        arguments.tuned,
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


if __name__ == "__main__":
    run_command(parser(), command)
