"""Measured embeddings as a table: one row a file."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tcmbench.entries.read import Entry
from tcmbench.tables.document import document, notes_list, scrolled
from tcmbench.tables.frames import OF_METRICS
from tcmbench.tables.notes import settings

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Embeddings made elsewhere"
NOTES = (
    "Nothing here was trained by this project, so no row is half of a comparison. Rows are "
    "comparable with each other where they embed the same images.",
    "Distances are L2 distances of unit-norm embeddings; the calibration range is the file's own.",
)


def entries_frame(entries: Sequence[Entry]) -> "pd.DataFrame":
    """Return one row a file: name, title, measures; units as in `runs_frame`."""
    import pandas as pd

    rows = [
        {"name": entry.name, "title": entry.title}
        | {key: entry.measured.metrics.get(key) for key in OF_METRICS}
        | {"epsilon": entry.measured.metrics["epsilon"]}
        for entry in entries
    ]
    return pd.DataFrame(rows)


def section(entries: Sequence[Entry]) -> str:
    """Return the table and its notes as HTML, to be put into a page."""
    metrics = entries[0].measured.metrics
    worst = f"{100 * metrics['epsilon']:g}%-OPIS (×10⁻³) ↓"
    titles = ("R@1 (%) ↑", "OPIS (×10⁻³) ↓", worst, "Calibration range", "Images", "Classes")
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(_row(entry) for entry in entries)
    table = scrolled(
        TITLE,
        f'<thead><tr><th scope="col" class="name">Embeddings</th>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>",
    )
    return f"{table}\n{notes_list([settings(metrics), *NOTES])}"


def page(entries: Sequence[Entry]) -> str:
    """Return a whole page."""
    return document(TITLE, section(entries))


def _row(entry: Entry) -> str:
    found = entry.measured.metrics
    cells = (
        f"{100 * found['recall_at_1']:.1f}",
        f"{1e3 * found['opis']:#.3g}".rstrip("."),
        f"{1e3 * found['epsilon_opis']:#.3g}".rstrip("."),
        f"{found['d_min']:.3f} to {found['d_max']:.3f}",
        f"{found['num_images']:,}",
        f"{found['num_classes']:,}",
    )
    values = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row" class="name">{escape(entry.title)}</th>{values}</tr>'
