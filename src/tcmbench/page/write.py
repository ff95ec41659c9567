"""The page of a suite: what is done, shown; what is not, named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcmbench import templates
from tcmbench.claims.page import claims_table
from tcmbench.claims.write import judged
from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.entries.read import read_entries
from tcmbench.entries.table import TITLE as ENTRIES
from tcmbench.entries.table import entries_table
from tcmbench.page.pictures import index_figures
from tcmbench.page.records import index_run
from tcmbench.page.table import index_table
from tcmbench.tables.cells import printed_lines, printed_metrics
from tcmbench.tables.earlier import earlier_intervals
from tcmbench.tables.frames import comparisons_frame, runs_frame
from tcmbench.tables.names import MINIATURE
from tcmbench.tables.notes import MINIATURES, table_notes
from tcmbench.tables.references import add_references, read_paper, read_published
from tcmbench.tables.runs import Comparison, MeasuredRun, pair, read_runs

TITLE = "TCM benchmark: does one distance threshold fit every class?"
NEEDED = ("metrics.json", "run.json")


@dataclass(frozen=True)
class Material:
    """What the page may show beyond the runs; None leaves a part out."""

    figures: Path | None = None
    captions: Path | None = None
    paper: Path | None = None
    published: Path | None = None
    comparisons: Path | None = None
    entries: Sequence[tuple[Path, str]] = ()


def write_page(folders: Sequence[Path], suite: str, out: Path, material: Material) -> list[str]:
    """Write one page that needs nothing else, of the runs that are done.

    Args:
        folders: folders of all runs of the suite, done or not.
        suite: its name.
        out: the page; figures are linked to relative to it.
        material: figures, their captions, the numbers of others, and the table of the suite,
            whose intervals then are not made a second time.

    Returns:
        One sentence for each run that is shown in no comparison.

    Raises:
        UserError: as `read_runs`, `comparisons_frame`, `earlier_intervals`, `read_paper`,
            `read_published` and `index_figures`.
    """
    done = [path for path in folders if all((path / name).is_file() for name in NEEDED)]
    runs = read_runs(done) if done else []
    comparisons, left_out = _paired(runs)
    text = templates.html(
        "index.html",
        title=TITLE,
        suite=suite,
        warning=MINIATURES if runs and runs[0].scale == MINIATURE else "",
        done=len(done),
        missing=["/".join(path.parts[-5:]) for path in folders if path not in done],
        results=_results(runs, comparisons, left_out, suite, material) if comparisons else None,
        figures=_figures(runs, suite, material, out) if comparisons else [],
        entries=_entries(material.entries),
        runs=[index_run(run) for run in runs],
    )
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return left_out


def _paired(runs: Sequence[MeasuredRun]) -> tuple[list[Comparison], list[str]]:
    """Return what `pair` does, and nothing where no pair can be made yet."""
    try:
        return pair(runs)
    except UserError:
        return [], []


def _results(
    runs: Sequence[MeasuredRun],
    comparisons: Sequence[Comparison],
    left_out: Sequence[str],
    suite: str,
    material: Material,
) -> dict[str, Any]:
    """Return table, notes and claims, as their templates print them."""
    known = earlier_intervals(material.comparisons) if material.comparisons else None
    frame = add_references(
        comparisons_frame(comparisons, suite, known),
        read_paper(material.paper) if material.paper else {},
        read_published(material.published) if material.published else {},
    )
    metrics = printed_metrics(frame)
    by_run = runs_frame(runs, suite)
    pareto = by_run if suite.startswith("pareto") else None
    return {
        "table": index_table(comparisons, frame, metrics, printed_lines(frame, metrics)),
        "notes": [*table_notes(comparisons, frame, suite), *left_out],
        "claims": claims_table(judged(frame, by_run, pareto)),
    }


def _figures(
    runs: Sequence[MeasuredRun], suite: str, material: Material, out: Path
) -> list[dict[str, Any]]:
    if not (material.figures and material.captions):
        return []
    datasets = {run.run.dataset for run in runs}
    scale = runs[0].scale
    return index_figures(material.figures, material.captions, suite, scale, out.parent, datasets)


def _entries(named: Sequence[tuple[Path, str]]) -> dict[str, Any] | None:
    """Return the table of embeddings made elsewhere, and the names of those not measured yet."""
    if not named:
        return None
    done = [(path, title) for path, title in named if (path / "metrics.json").is_file()]
    return {
        "title": ENTRIES,
        "table": entries_table(read_entries(done)) if done else None,
        "missing": [title for path, title in named if (path, title) not in done],
    }
