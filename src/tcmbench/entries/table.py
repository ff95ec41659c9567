"""Measured embeddings as a table: one row a file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tcmbench import templates
from tcmbench.entries.read import Entry
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


def entries_table(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what the template of the table prints."""
    metrics = entries[0].measured.metrics
    worst = f"{100 * metrics['epsilon']:g}%-OPIS (×10⁻³) ↓"
    return {
        "title": TITLE,
        "header": ("R@1 (%) ↑", "OPIS (×10⁻³) ↓", worst, "Calibration range", "Images", "Classes"),
        "rows": [(entry.title, _cells(entry.measured.metrics)) for entry in entries],
        "sentences": [settings(metrics), *NOTES],
    }


def page(entries: Sequence[Entry]) -> str:
    """Return a whole page."""
    return templates.html("entries.html", title=TITLE, entries=entries_table(entries))


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{100 * found['recall_at_1']:.1f}",
        f"{1e3 * found['opis']:#.3g}".rstrip("."),
        f"{1e3 * found['epsilon_opis']:#.3g}".rstrip("."),
        f"{found['d_min']:.3f} to {found['d_max']:.3f}",
        f"{found['num_images']:,}",
        f"{found['num_classes']:,}",
    )
