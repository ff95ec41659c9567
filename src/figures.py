"""Draw the figures of measured runs, each as .svg, .pdf and .png.

python src/figures.py utility --dataset NAME --out FOLDER RUN_FOLDER [RUN_FOLDER ...]
python src/figures.py summary --tables FOLDER --out FOLDER
"""

import argparse
import sys
from pathlib import Path

from tcmbench.errors import UserError, run_command


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(description="Draw a figure as .svg, .pdf and .png.")
    figures = builder.add_subparsers(required=True, metavar="FIGURE")
    utility = figures.add_parser(
        "utility",
        help="per-class utility curves of one dataset",
        description="Write utility_NAME (base beside +TCM), utility_NAME_base and "
        "utility_NAME_tcm; of several seeds the lowest that both variants have is drawn.",
    )
    utility.add_argument("--dataset", required=True, metavar="NAME", help="dataset of the runs")
    utility.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN_FOLDER",
        help="{dataset}/{backbone}/{loss}/{base|tcm}/seed{number} with metrics.json, run.json "
        "and utility.parquet",
    )
    utility.set_defaults(draw=draw_utility)
    summary = figures.add_parser("summary", help="all comparisons of a suite at one look")
    summary.add_argument(
        "--tables", required=True, type=Path, metavar="FOLDER", help="where comparisons.csv is"
    )
    summary.set_defaults(draw=draw_summary)
    for figure in (utility, summary):
        figure.add_argument("--out", required=True, type=Path, help="folder for the figures")
    return builder


def draw_utility(arguments: argparse.Namespace) -> None:
    """Draw the utility curves; name on standard error each run that found no partner."""
    from tcmbench.plots import curves, style, utility

    pairs, notes = curves.read_pairs(arguments.runs, arguments.dataset)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    name = f"utility_{arguments.dataset}"
    style.save(utility.draw_pairs(pairs), arguments.out, name)
    for variant in ("base", "tcm"):
        figure = utility.draw_variant(pairs, variant)
        style.save(figure, arguments.out, f"{name}_{variant}")


def draw_summary(arguments: argparse.Namespace) -> None:
    """Draw the summary of comparisons.csv."""
    import pandas as pd

    from tcmbench.plots import style, summary

    path = arguments.tables / "comparisons.csv"
    if not path.is_file():
        raise UserError(f"{path} does not exist; make it with src/aggregate.py")
    style.save(summary.draw_summary(pd.read_csv(path)), arguments.out, "summary")


def command(arguments: argparse.Namespace) -> None:
    """Draw the chosen figure."""
    arguments.draw(arguments)


if __name__ == "__main__":
    run_command(parser(), command)
