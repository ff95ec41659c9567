"""Show all results of a suite, as far as they are there, on one static page.

Usage: python src/page.py --suite NAME [--figures FOLDER] [--out FILE.html] [RUN_FOLDER ...]
"""

import argparse
import sys
from pathlib import Path

from tcmbench.common.commands import OF, TITLES, run_command

REPORT = Path(__file__).resolve().parents[1] / "report"
CONFIG = Path("config.yaml")


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(
        description="Write one HTML page that needs no network: the comparison table, the claims, "
        "the figures and where each run comes from. Works at any time: runs without metrics.json "
        "are named as missing."
    )
    add = builder.add_argument
    add("--suite", required=True, metavar="NAME", help="suite of config.yaml")
    add(
        "--figures",
        type=Path,
        metavar="FOLDER",
        help="figures to show (default: results/figures/NAME)",
    )
    add(
        "--captions",
        type=Path,
        default=REPORT,
        metavar="FOLDER",
        help="captions of the figures, as .rst (default: the project's)",
    )
    add("--paper", type=Path, metavar="FILE.csv", help="the paper's table")
    add("--published", type=Path, metavar="FILE.csv", help="R@1 of base losses in their papers")
    add(
        "--comparisons",
        type=Path,
        metavar="FILE.csv",
        help="table of the suite, whose intervals are taken over for the same measures; they take "
        "half a minute at the paper's number of classes (default: compute them)",
    )
    add("--tuned", type=Path, metavar="FILE.csv", help="table that TCM's margins were chosen in")
    add(
        "--entry",
        nargs=2,
        action="append",
        default=[],
        metavar=("FOLDER", "TITLE"),
        help="measured embeddings made elsewhere, and how they are called in print",
    )
    add("--of", **OF)
    add(
        "--evaluation",
        action="append",
        default=[],
        metavar="NAME",
        help="further table, of what lies in this folder of each run",
    )
    add("--titles", **TITLES)
    add(
        "--contributed",
        type=Path,
        metavar="FOLDER",
        help="verified results of others, as 'tcmbench verify --out' writes them",
    )
    add(
        "--out",
        type=Path,
        default=Path("results/index.html"),
        metavar="FILE.html",
        help="the page (default: %(default)s)",
    )
    add(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN_FOLDER",
        help="folders of all runs, done or not (default: those of the suite in ./config.yaml)",
    )
    return builder


def command(arguments: argparse.Namespace) -> None:
    """Write the page; name on standard error each run that found no partner."""
    from tcmbench.common.paths import keep_apart
    from tcmbench.page.expected import expected_folders
    from tcmbench.page.write import Material, write_page
    from tcmbench.tables.completeness import Whole
    from tcmbench.tables.names import use_titles

    use_titles(arguments.titles)
    material = Material(
        arguments.figures or Path("results/figures") / arguments.suite,
        arguments.captions,
        arguments.paper,
        arguments.published,
        arguments.comparisons,
        [(Path(folder), title) for folder, title in arguments.entry],
        Whole(*arguments.of) if arguments.of else None,
        arguments.evaluation,
        arguments.tuned,
        arguments.contributed,
    )
    folders = arguments.runs or expected_folders(CONFIG, arguments.suite)
    tables = (material.paper, material.published, material.comparisons)
    shown = (*folders, *(folder for folder, _ in material.entries), arguments.captions)
    read = (path for folder in (*shown, material.figures) for path in folder.glob("*"))
    keep_apart([arguments.out], [CONFIG, *tables, *read])
    for note in write_page(folders, arguments.suite, arguments.out, material):
        print(f"note: {note}", file=sys.stderr)


if __name__ == "__main__":
    run_command(parser(), command)
