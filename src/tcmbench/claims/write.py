"""claims.json, and the same as Markdown and as a page."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.claims import comparisons, cost, inflection
from tcmbench.claims.claim import DOES_NOT_APPLY, Claim, Finding, entry
from tcmbench.claims.page import markdown, page
from tcmbench.common.files import atomic_path, write_json
from tcmbench.common.paths import keep_apart
from tcmbench.config.own import OWN
from tcmbench.tables.completeness import Whole, shortfall
from tcmbench.tables.names import BACKBONES, DATASETS, LOSSES, MINIATURE
from tcmbench.tables.reading import read_frame, require, require_numbers

if TYPE_CHECKING:
    import pandas as pd

CELL = ["dataset", "backbone", "loss"]
# Why the claims do not apply, by scale.
ELSEWHERE = {
    MINIATURE: "these are miniatures, which say nothing about the paper's datasets",
    OWN: "these are images of one's own, which say nothing about the paper's datasets",
}
NEEDS_PARETO = "needs the Pareto suite: two backbones, five losses, several batch sizes"


def write_claims(
    tables: Path, out: Path, pareto: Path | None = None, whole: Whole | None = None
) -> None:
    """Judge each claim by the tables of a suite; write claims.json, claims.md and claims.html.

    Args:
        tables: folder with comparisons.csv and runs.csv.
        out: folder for the three files.
        pareto: runs.csv of the Pareto suite, where it was run.
        whole: what the suite consists of; no claim is judged by a part of it.

    Raises:
        UserError: a table is missing, is empty, lacks a column or would be overwritten.
    """
    keep_apart((out / f"claims{suffix}" for suffix in (".json", ".md", ".html")), [pareto])
    numbers = [*comparisons.NUMBERS, "n_seeds"]
    frame = _read(tables / "comparisons.csv", [*CELL, "scale"], numbers)
    runs = _read(tables / "runs.csv", [*CELL, "variant"], ["seed", "images_per_second"])
    settings = _read(pareto, [*CELL, "variant"], ["batch_size"]) if pareto else None
    entries = judged(frame, runs, settings, whole)
    for suffix, render in ((".md", markdown), (".html", page)):
        with atomic_path(out / f"claims{suffix}") as temporary:
            temporary.write_text(render(entries), encoding="utf-8")
    write_json(out / "claims.json", entries)


def judged(
    frame: "pd.DataFrame",
    runs: "pd.DataFrame",
    pareto: "pd.DataFrame | None" = None,
    whole: Whole | None = None,
) -> list[dict[str, Any]]:
    """Return the entries of claims.json.

    At full scale the paper's sixteen cells count and rows beyond them do not; until all are there
    every verdict on them is `not run`. On miniatures and on images of one's own all rows are
    counted, and the claims do not apply.

    Args:
        frame: a `comparisons_frame`.
        runs: its `runs_frame`.
        pareto: the `runs_frame` of the Pareto suite.
        whole: what the suite consists of; until all is there, no claim is judged.
    """
    elsewhere = _elsewhere(frame)
    if not elsewhere:
        frame, runs = _in_grid(frame), _in_grid(runs)
    about_table = [*comparisons.findings(frame), cost.finding(runs)]
    part = shortfall(frame["n_seeds"].tolist(), whole) if whole and len(frame) else ""
    obstacle = f"only {part} of the suite" if part else ""
    missing = _missing(frame) or obstacle
    entries = [_entry(*pair, missing, elsewhere) for pair in about_table]
    if pareto is None:
        untried = inflection.findings(None)
        return entries + [_entry(*pair, NEEDS_PARETO, elsewhere) for pair in untried]
    elsewhere = _elsewhere(pareto)
    return entries + [_entry(*pair, obstacle, elsewhere) for pair in inflection.findings(pareto)]


def _entry(claim: Claim, finding: Finding, obstacle: str, elsewhere: str) -> dict[str, Any]:
    if elsewhere:
        return entry(claim, finding, elsewhere, DOES_NOT_APPLY)
    if not obstacle and finding.n == 0:
        obstacle = "the runs did not record what it needs"
    return entry(claim, finding, obstacle)


def _elsewhere(frame: "pd.DataFrame") -> str:
    """Say why a table is not about the paper's datasets; nothing where it is."""
    return next((why for scale, why in ELSEWHERE.items() if (frame["scale"] == scale).any()), "")


def _in_grid(frame: "pd.DataFrame") -> "pd.DataFrame":
    known = zip(CELL, (DATASETS, BACKBONES, LOSSES), strict=True)
    for column, names in known:
        frame = frame[frame[column].isin(list(names))]
    return frame


def _missing(frame: "pd.DataFrame") -> str:
    """Name the cells of the paper's table that were not measured."""
    present = set(frame[CELL].itertuples(index=False, name=None))
    absent = [
        f"{DATASETS[dataset]} {BACKBONES[backbone]} {LOSSES[loss]}"
        for dataset in DATASETS
        for backbone in BACKBONES
        for loss in LOSSES
        if (dataset, backbone, loss) not in present
    ]
    total = len(DATASETS) * len(BACKBONES) * len(LOSSES)
    return f"missing {len(absent)} of {total} comparisons: {', '.join(absent)}" if absent else ""


def _read(path: Path, columns: list[str], numbers: Iterable[str]) -> "pd.DataFrame":
    frame = read_frame(path)
    require(frame, columns, path)
    require_numbers(frame, numbers, path)
    return frame
