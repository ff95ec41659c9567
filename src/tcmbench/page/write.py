"""The page of a suite: what is done, shown; what is not, named."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tcmbench.claims.page import section
from tcmbench.claims.write import judged
from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.entries.read import read_entries
from tcmbench.entries.table import TITLE as ENTRIES
from tcmbench.entries.table import section as entries_section
from tcmbench.page.behaviour import CSS, SCRIPT
from tcmbench.page.pictures import pictures
from tcmbench.page.records import records
from tcmbench.page.table import table
from tcmbench.tables.cells import printed_lines, printed_metrics
from tcmbench.tables.document import document, notes_list
from tcmbench.tables.frames import comparisons_frame, runs_frame
from tcmbench.tables.names import MINIATURE
from tcmbench.tables.notes import MINIATURES, table_notes
from tcmbench.tables.references import add_references, read_paper, read_published
from tcmbench.tables.runs import Comparison, MeasuredRun, pair, read_runs

TITLE = "TCM benchmark: does one distance threshold fit every class?"
LEAD = (
    "Networks trained with a base loss alone, and with the same loss plus the threshold-consistent "
    "margin regularizer (TCM, arXiv 2307.04047)."
)
NEEDED = ("metrics.json", "run.json")


@dataclass(frozen=True)
class Material:
    """What the page may show beyond the runs; None leaves a part out."""

    figures: Path | None = None
    captions: Path | None = None
    paper: Path | None = None
    published: Path | None = None
    entries: Sequence[tuple[Path, str]] = ()


def write_page(folders: Sequence[Path], suite: str, out: Path, material: Material) -> list[str]:
    """Write one page that needs nothing else, of the runs that are done.

    Args:
        folders: folders of all runs of the suite, done or not.
        suite: its name.
        out: the page.
        material: figures, their captions, and the numbers of others.

    Returns:
        One sentence for each run that is shown in no comparison.

    Raises:
        UserError: as `read_runs`, `comparisons_frame`, `read_paper`, `read_published` and
            `pictures`.
    """
    done = [path for path in folders if all((path / name).is_file() for name in NEEDED)]
    missing = [path for path in folders if path not in done]
    runs = read_runs(done) if done else []
    results, left_out = _results(runs, suite, material)
    parts = [_head(runs, suite), _state(len(done), missing), results]
    body = "\n".join([*parts, _entries(material.entries), _runs(runs)])
    with atomic_path(out) as temporary:
        head = f"<style>\n{CSS}\n</style>"
        page = document(TITLE, f"{body}\n<script>\n{SCRIPT}\n</script>", head)
        temporary.write_text(page, encoding="utf-8")
    return left_out


def _head(runs: Sequence[MeasuredRun], suite: str) -> str:
    links = "".join(
        f'<a href="#{name.lower()}">{name}</a>' for name in ("Table", "Claims", "Figures", "Runs")
    )
    small = runs and runs[0].scale == MINIATURE
    warning = f'<p class="important">{escape(MINIATURES)}</p>' if small else ""
    return (
        f'<p class="lead">Suite <b>{escape(suite)}</b>. {LEAD}</p>\n{warning}\n'
        f'<nav aria-label="Sections">{links}</nav>'
    )


def _state(done: int, missing: Sequence[Path]) -> str:
    """Say how many runs are done, and name the others."""
    total = done + len(missing)
    if not missing:
        return f"<p>All {total} runs are done.</p>"
    items = "".join(f"<li>{escape('/'.join(path.parts[-5:]))}</li>" for path in missing)
    state = f"<b>{done} of {total} runs are done</b>; what follows is partial."
    return (
        f'<p class="important">{state}</p>\n'
        f"<details><summary>{len(missing)} runs are missing</summary>\n<ul>{items}</ul></details>"
    )


def _results(runs: Sequence[MeasuredRun], suite: str, material: Material) -> tuple[str, list[str]]:
    """Return table, claims and figures as HTML, and the sentences about lone runs."""
    comparisons, left_out = _paired(runs)
    if not comparisons:
        nothing = "<p>No comparison is complete yet: each needs a base and a +TCM run.</p>"
        return f'<h2 id="table">Table</h2>\n{nothing}', []
    frame = add_references(
        comparisons_frame(comparisons, suite),
        read_paper(material.paper) if material.paper else {},
        read_published(material.published) if material.published else {},
    )
    metrics = printed_metrics(frame)
    rows = table(comparisons, frame, metrics, printed_lines(frame, metrics))
    by_run = runs_frame(runs, suite)
    claims = section(judged(frame, by_run, by_run if suite.startswith("pareto") else None))
    parts = [
        ("Table", f"{rows}\n{notes_list([*table_notes(comparisons, frame, suite), *left_out])}"),
        ("Claims", f'<div class="claims">{claims}</div>'),
        ("Figures", _figures(runs, suite, material)),
    ]
    return "\n".join(
        f'<h2 id="{name.lower()}">{name}</h2>\n{part}' for name, part in parts
    ), left_out


def _paired(runs: Sequence[MeasuredRun]) -> tuple[list[Comparison], list[str]]:
    """Return what `pair` does, and nothing where no pair can be made yet."""
    try:
        return pair(runs)
    except UserError:
        return [], []


def _figures(runs: Sequence[MeasuredRun], suite: str, material: Material) -> str:
    shown = ""
    if material.figures and material.captions:
        shown = pictures(material.figures, material.captions, suite, runs[0].scale)
    return shown or "<p>None is drawn yet.</p>"


def _entries(named: Sequence[tuple[Path, str]]) -> str:
    """Return the table of embeddings made elsewhere; name those that are not measured yet."""
    done = [(path, title) for path, title in named if (path / "metrics.json").is_file()]
    missing = [escape(title) for path, title in named if (path, title) not in done]
    parts = [f'<h2 id="elsewhere">{ENTRIES}</h2>'] if named else []
    parts += [f'<div class="narrow">{entries_section(read_entries(done))}</div>'] if done else []
    parts += [f"<p>Not measured yet: {', '.join(missing)}.</p>"] if missing else []
    return "\n".join(parts)


def _runs(runs: Sequence[MeasuredRun]) -> str:
    return f'<h2 id="runs">Runs</h2>\n{records(runs) or "<p>None is done yet.</p>"}'
