"""The page of a suite: what is done, shown; what is not, named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tcmbench.tables.completeness import Whole, shortfall
from tcmbench.tables.contributed import contributed_table, read_contributed
from tcmbench.tables.earlier import earlier_intervals
from tcmbench.tables.frames import comparisons_frame, mean_row, runs_frame
from tcmbench.tables.names import MINIATURE
from tcmbench.tables.notes import MINIATURES, table_notes
from tcmbench.tables.pairing import Comparison, pair
from tcmbench.tables.references import add_references, read_paper, read_published
from tcmbench.tables.runs import MeasuredRun, read_runs

if TYPE_CHECKING:
    import pandas as pd

TITLE = "TCM benchmark: does one distance threshold fit every class?"
NEEDED = ("metrics.json", "run.json")
TABLE = "comparisons.csv"


@dataclass(frozen=True)
class Material:
    """What the page may show beyond the runs; None leaves a part out."""

    figures: Path | None = None
    captions: Path | None = None
    paper: Path | None = None
    published: Path | None = None
    comparisons: Path | None = None
    entries: Sequence[tuple[Path, str]] = ()
    whole: Whole | None = None
    evaluations: Sequence[str] = ()
    tuned: Path | None = None
    contributed: Path | None = None


def write_page(folders: Sequence[Path], suite: str, out: Path, material: Material) -> list[str]:
    """Write one page that needs nothing else, of the runs that are done.

    Args:
        folders: folders of all runs of the suite, done or not.
        suite: its name.
        out: the page; figures are linked to relative to it.
        material: figures, their captions, the numbers of others, and the table of the suite,
            whose intervals then are not made a second time; what the whole suite consists of; the
            names of further evaluations, whose tables lie in folders beside the suite's; the table
            that margins were chosen in; and a folder of verified results of others.

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
        part=shortfall([len(one.pairs) for one in comparisons], material.whole),
        done=len(done),
        missing=["/".join(path.parts[-5:]) for path in folders if path not in done],
        results=_results(runs, comparisons, left_out, suite, material) if comparisons else None,
        further=list(_further(done, suite, material)),
        figures=_figures(runs, suite, material, out) if comparisons else [],
        entries=_entries(material.entries),
        contributed=_contributed(material.contributed, comparisons),
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
    frame = add_references(
        _frame(comparisons, suite, material.comparisons),
        read_paper(material.paper) if material.paper else {},
        read_published(material.published) if material.published else {},
    )
    by_run = runs_frame(runs, suite)
    pareto = by_run if suite.startswith("pareto") else None
    # The claims are about test classes.
    validated = any(run.fold for run in runs)
    return {
        "table": _table(comparisons, frame),
        "notes": [
            *table_notes(comparisons, frame, suite, material.whole, material.tuned),
            *left_out,
        ],
        "claims": None
        if validated
        else claims_table(judged(frame, by_run, pareto, material.whole)),
    }


def _further(folders: Sequence[Path], suite: str, material: Material) -> Iterator[dict[str, Any]]:
    """Yield table and notes of each further evaluation, of the runs that have it."""
    for name in material.evaluations:
        done = [folder for folder in folders if (folder / name / NEEDED[0]).is_file()]
        comparisons, _ = _paired(read_runs(done, name) if done else [])
        if comparisons:
            beside = material.comparisons and material.comparisons.parent / name / TABLE
            frame = _frame(comparisons, suite, beside)
            notes = table_notes(comparisons, frame, suite, material.whole, material.tuned)
            yield {"name": name, "table": _table(comparisons, frame), "notes": notes}


def _frame(comparisons: Sequence[Comparison], suite: str, earlier: Path | None) -> "pd.DataFrame":
    return comparisons_frame(comparisons, suite, earlier_intervals(earlier) if earlier else None)


def _table(comparisons: Sequence[Comparison], frame: "pd.DataFrame") -> dict[str, Any]:
    metrics = printed_metrics(frame)
    return index_table(comparisons, frame, metrics, printed_lines(frame, metrics))


def _figures(
    runs: Sequence[MeasuredRun], suite: str, material: Material, out: Path
) -> list[dict[str, Any]]:
    if not (material.figures and material.captions):
        return []
    datasets = {run.run.dataset for run in runs}
    scale = runs[0].scale
    return index_figures(material.figures, material.captions, suite, scale, out.parent, datasets)


def _contributed(folder: Path | None, comparisons: Sequence[Comparison]) -> dict[str, Any] | None:
    """Return the table of others' verified results, None where there is none."""
    files = read_contributed(folder) if folder else []
    return contributed_table(files, [mean_row(one) for one in comparisons]) if files else None


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
