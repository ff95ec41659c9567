"""Tables of a suite, each as a whole file."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.files import atomic_path
from tcmbench.common.paths import keep_apart
from tcmbench.tables.cells import printed_lines, printed_metrics
from tcmbench.tables.completeness import Whole
from tcmbench.tables.frames import comparisons_frame, runs_frame
from tcmbench.tables.markdown import markdown
from tcmbench.tables.notes import table_notes
from tcmbench.tables.pairing import pair
from tcmbench.tables.references import add_references, read_paper, read_published
from tcmbench.tables.rendered import latex, page
from tcmbench.tables.runs import read_runs

if TYPE_CHECKING:
    import pandas as pd

RENDERERS = {".md": markdown, ".tex": latex, ".html": page}


def write_tables(
    folders: Iterable[Path | str],
    suite: str,
    out: Path,
    paper: Path | None = None,
    published: Path | None = None,
    whole: Whole | None = None,
    evaluation: str = "",
    tuned: Path | None = None,
) -> list[str]:
    """Write runs.csv and comparisons.{csv,md,tex,html} of the run folders into `out`.

    Args:
        folders: run folders.
        suite: its name, for the footnote.
        out: folder for the tables.
        paper: the paper's numbers as typed in, shown beside ours at full scale.
        published: R@1 of base losses from their own papers, likewise.
        whole: what the suite consists of, where the footnote is to say that parts are missing.
        evaluation: folder in each run with what was measured; default the run's own.
        tuned: where the margins stand that were chosen for each row, if they were.

    Returns:
        One sentence for each run that found no partner and is in runs.csv alone.

    Raises:
        UserError: as `read_runs`, `pair`, `intervals`, `read_paper` and `read_published`, and
            where one of the two tables would be overwritten.
    """
    written = [out / "runs.csv", *(out / f"comparisons{suffix}" for suffix in (".csv", *RENDERERS))]
    keep_apart(written, [paper, published])
    runs = read_runs(folders, evaluation)
    comparisons, left_out = pair(runs)
    frame = add_references(
        comparisons_frame(comparisons, suite),
        read_paper(paper) if paper else {},
        read_published(published) if published else {},
    )
    metrics = printed_metrics(frame)
    lines = printed_lines(frame, metrics)
    notes = table_notes(comparisons, frame, suite, whole, tuned)
    _write_csv(out / "runs.csv", runs_frame(runs, suite))
    _write_csv(out / "comparisons.csv", frame)
    for suffix, render in RENDERERS.items():
        with atomic_path(out / f"comparisons{suffix}") as temporary:
            temporary.write_text(render(metrics, lines, notes), encoding="utf-8")
    return left_out


def _write_csv(path: Path, frame: "pd.DataFrame") -> None:
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
