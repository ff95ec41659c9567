"""Table and figure of the entries, each as a whole file."""

from collections.abc import Iterable
from pathlib import Path

from tcmbench.common.files import atomic_path
from tcmbench.entries.read import read_entries
from tcmbench.entries.table import entries_frame, page
from tcmbench.plots import style
from tcmbench.plots.entries import draw_entries


def write_entries(named: Iterable[tuple[Path, str]], tables: Path, figures: Path) -> None:
    """Write entries.csv and entries.html into `tables`, entries.{svg,pdf,png} into `figures`.

    Args:
        named: folder (with metrics.json and utility.parquet) and title of each entry.
        tables: folder for the tables.
        figures: folder for the figure.

    Raises:
        UserError: as `read_entries`; a missing or broken utility.parquet.
    """
    entries = read_entries(named)
    figure = draw_entries([(entry.title, entry.curves()) for entry in entries])
    with atomic_path(tables / "entries.csv") as temporary:
        entries_frame(entries).to_csv(temporary, index=False, lineterminator="\n")
    with atomic_path(tables / "entries.html") as temporary:
        temporary.write_text(page(entries), encoding="utf-8")
    style.save(figure, figures, "entries")
