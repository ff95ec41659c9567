"""Measured embeddings of unknown making, read from their folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.config.check import Run
from tcmbench.plots.curves import Curves, read_curves
from tcmbench.tables.runs import MeasuredRun, check_settings, read_metrics


@dataclass(frozen=True)
class Entry:
    """One file of embeddings: how it is called in print, and what was measured.

    `measured` knows of no training.
    """

    title: str
    measured: MeasuredRun

    @property
    def name(self) -> str:
        """The entry's name in the configuration."""
        return self.measured.folder.name

    def curves(self) -> Curves:
        """Read the utility curves; raises `UserError` as `read_curves`."""
        return read_curves(self.measured)


def read_entries(named: Iterable[tuple[Path, str]]) -> list[Entry]:
    """Read entries, given as folder and title.

    Raises:
        UserError: no entry, no metrics in a folder, or entries that were not measured alike.
    """
    entries = [Entry(title, _measured(Path(folder))) for folder, title in named]
    if not entries:
        raise UserError("no entry was given; name one with --entry FOLDER TITLE")
    check_settings([entry.measured for entry in entries])
    return entries


def _measured(folder: Path) -> MeasuredRun:
    return MeasuredRun(Run(folder.name, "", "", "base", 0), folder, read_metrics(folder), {})
