"""Draw the figures of measured runs, each as .svg, .pdf and .png.

python src/figures.py utility|deployer|training --dataset NAME --out FOLDER RUN_FOLDER ...
python src/figures.py summary|plane|pareto|ablation|margins --tables FOLDER --out FOLDER
python src/figures.py toy --out FOLDER RUN_FOLDER RUN_FOLDER
python src/figures.py neighbours --images FOLDER --out FOLDER RUN_FOLDER RUN_FOLDER
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.commands import TITLES, run_command
from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    from tcmbench.tables.runs import MeasuredRun

RUN = "{dataset}/{backbone}/{loss}/{base|tcm}/seed{number} with metrics.json, run.json and"
# What is drawn of a suite's tables, and of which.
TABLES = {
    "summary": ("all comparisons of a suite at one look", "comparisons.csv"),
    "plane": ("comparisons as arrows in the plane of OPIS and error", "comparisons.csv"),
    "pareto": ("OPIS against recognition error over batch sizes", "runs.csv"),
    "ablation": ("heat maps of TCM's margins and weights", "runs.csv"),
    "margins": ("what validated margins do, and which are chosen", "margins.csv"),
}
LOWEST = "of several seeds the lowest that both variants have is drawn"


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    builder = argparse.ArgumentParser(description="Draw a figure as .svg, .pdf and .png.")
    figures = builder.add_subparsers(required=True, metavar="FIGURE")

    def add(
        draw: Callable[[argparse.Namespace], None], text: str, description: str, name: str = ""
    ) -> argparse.ArgumentParser:
        name = name or draw.__name__.removeprefix("draw_")
        figure = figures.add_parser(name, help=text, description=description)
        figure.add_argument("--out", required=True, type=Path, help="folder for the figures")
        figure.add_argument("--titles", **TITLES)
        figure.set_defaults(draw=draw)
        return figure

    _add_figures_of_runs(add)
    _add_figures_of_tables(add)
    return builder


def _add_figures_of_runs(add: Callable[..., argparse.ArgumentParser]) -> None:
    utility = add(
        draw_utility,
        "per-class utility curves of one dataset",
        f"Write utility_NAME (base beside +TCM), utility_NAME_base and utility_NAME_tcm; {LOWEST}.",
    )
    deployer = add(
        draw_deployer,
        "error rates of the classes at one threshold",
        "Write deployer_NAME: false accept and false reject rate of each class at the threshold "
        f"where all pairs together have the false accept rate --far; {LOWEST}.",
    )
    deployer.add_argument(
        "--far",
        type=float,
        metavar="RATE",
        help="target false accept rate, a share inside the calibration range; between its ends "
        "classes.parquet is needed (default: the lower end, which is at d_min)",
    )
    training = add(
        draw_training,
        "training loss of each run",
        "Write training_NAME: the mean loss of each epoch, all seeds.",
    )
    toy = add(
        draw_toy,
        "two-dimensional embeddings on the circle",
        "Write toy: density of each class on the circle and overlap of neighbours.",
    )
    neighbours = add(
        draw_neighbours,
        "queries with their neighbours inside the one threshold",
        "Write neighbours_DATASET_BACKBONE_LOSS: the nearest images at a distance of at most d_min "
        "(the lower end of the calibration range), base beside +TCM. Queries are the first images "
        "of the classes at fixed quantiles of the class's own best threshold.",
    )
    neighbours.add_argument(
        "--images", required=True, type=Path, metavar="FOLDER", help="where the test images are"
    )
    neighbours.add_argument(
        "--manifest", type=Path, metavar="FILE.csv", help="test.csv, for the names of the classes"
    )
    for figure in (utility, deployer, training):
        figure.add_argument("--dataset", required=True, metavar="NAME", help="dataset of the runs")
    for figure, needed in (
        (utility, "utility.parquet"),
        (deployer, "utility.parquet"),
        (training, "its epochs"),
        (toy, "embeddings.npz; a base and a tcm run"),
        (neighbours, "utility.parquet and embeddings.npz; a base and a tcm run"),
    ):
        figure.add_argument(
            "runs", nargs="+", type=Path, metavar="RUN_FOLDER", help=f"{RUN} {needed}"
        )


def _add_figures_of_tables(add: Callable[..., argparse.ArgumentParser]) -> None:
    for name, (text, table) in TABLES.items():
        figure = add(draw_table, text, f"Write {name}.", name=name)
        figure.set_defaults(figure=name)
        figure.add_argument(
            "--tables", required=True, type=Path, metavar="FOLDER", help=f"where {table} is"
        )


def draw_utility(arguments: argparse.Namespace) -> None:
    """Draw the utility curves; name on standard error each run that found no partner."""
    from tcmbench.plots import curves, style, utility

    pairs, notes = curves.read_pairs(arguments.runs, arguments.dataset)
    _say(notes)
    name = f"utility_{arguments.dataset}"
    style.save(utility.draw_pairs(pairs), arguments.out, name)
    for variant in ("base", "tcm"):
        figure = utility.draw_variant(pairs, variant)
        style.save(figure, arguments.out, f"{name}_{variant}")


def draw_deployer(arguments: argparse.Namespace) -> None:
    """Draw the error rates; name on standard error each run that found no partner."""
    from tcmbench.plots import deployer, operating, style

    pairs, notes = operating.read_operating_pairs(arguments.runs, arguments.dataset, arguments.far)
    _say(notes)
    style.save(deployer.draw_deployer(pairs), arguments.out, f"deployer_{arguments.dataset}")


def draw_training(arguments: argparse.Namespace) -> None:
    """Draw the training curves of all runs."""
    from tcmbench.plots import curves, style, training

    runs = curves.runs_of(arguments.runs, arguments.dataset)
    style.save(training.draw_training(runs), arguments.out, f"training_{arguments.dataset}")


def draw_toy(arguments: argparse.Namespace) -> None:
    """Draw the embeddings of a pair on the circle."""
    from tcmbench.plots import embedded, style, toy

    base, tcm = (embedded.read_embedded(run) for run in _pair(arguments.runs))
    style.save(toy.draw_toy(base, tcm), arguments.out, "toy")


def draw_neighbours(arguments: argparse.Namespace) -> None:
    """Draw the neighbours that a pair of runs finds."""
    from tcmbench.images.manifests import read_manifest
    from tcmbench.plots import neighbours, style

    pair = _pair(arguments.runs)
    items = read_manifest(arguments.manifest) if arguments.manifest else []
    names = {item.label: item.class_name for item in items}
    found = neighbours.read_neighbours(*pair)
    figure = neighbours.draw_neighbours(found, arguments.images, names)
    style.save(figure, arguments.out, "_".join(("neighbours", *pair[1].cell)))


def draw_table(arguments: argparse.Namespace) -> None:
    """Draw a figure of a suite's table."""
    from tcmbench.plots import ablation, margins, pareto, plane, style, summary
    from tcmbench.tables.reading import read_frame

    draw = {
        "summary": summary.draw_summary,
        "plane": plane.draw_plane,
        "pareto": pareto.draw_pareto,
        "ablation": ablation.draw_ablation,
        "margins": margins.draw_margins,
    }[arguments.figure]
    table = read_frame(arguments.tables / TABLES[arguments.figure][1])
    style.save(draw(table), arguments.out, arguments.figure)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _pair(folders: list[Path]) -> "tuple[MeasuredRun, MeasuredRun]":
    """Read the one comparison that the runs make."""
    from tcmbench.tables.pairing import pair
    from tcmbench.tables.runs import read_runs

    comparisons, notes = pair(read_runs(folders))
    if len(comparisons) > 1:
        raise UserError("the runs make more than one comparison; name one base and one tcm run")
    _say(notes)
    return comparisons[0].pairs[0]


def command(arguments: argparse.Namespace) -> None:
    """Draw the chosen figure."""
    from tcmbench.tables.names import use_titles

    use_titles(arguments.titles)
    arguments.draw(arguments)


if __name__ == "__main__":
    run_command(parser(), command)
