"""Verified results of others: the rows of a bundle, as they are kept and shown beside one's own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench import __version__
from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.tables.frames import comparisons_frame
from tcmbench.tables.names import backbone_title, dataset_title, loss_title
from tcmbench.tables.pairing import pair
from tcmbench.tables.reading import read_frame, require
from tcmbench.tables.runs import MEASURED, MeasuredRun

if TYPE_CHECKING:
    import pandas as pd

VERIFIED = (
    "Rows of others are taken from bundles whose numbers were measured again from their embeddings "
    "and whose fingerprints are those of this project. That the embeddings come from the training "
    "that the bundle describes is their word."
)
CELL = ("dataset", "backbone", "loss", "scale")
SHOWN = tuple(f"{metric}_{side}" for metric in MEASURED for side in ("base", "tcm", "delta"))


@dataclass(frozen=True)
class Contribution:
    """The comparisons of a bundle; `name` is made of who measured and what the bundle is."""

    name: str
    frame: "pd.DataFrame"


def contribution(runs: Sequence[MeasuredRun], by: str, digest: str) -> Contribution:
    """Return one row a comparison, as `comparisons_frame`, with who measured it on what.

    Raises:
        UserError: no pair of base and tcm, or as `comparisons_frame`.
    """
    comparisons, _ = pair(runs)
    frame = comparisons_frame(comparisons, "contributed")
    records = [run.record for run in runs]
    machines = {hardware_of(record) for record in records}
    torches = {str((record.get("packages") or {}).get("torch")) for record in records}
    frame["by"] = by
    frame["hardware"] = ", ".join(sorted(machines))
    frame["torch"] = ", ".join(sorted(torches))
    frame["measured"] = max(str(record.get("created") or "")[:10] for record in records)
    frame["bundle_sha256"] = digest
    frame["verified_with"] = __version__
    stem = re.sub(r"[^a-z0-9]+", "-", by.lower()).strip("-") or "unnamed"
    return Contribution(f"{stem}-{digest[:8]}", frame)


def write_contribution(found: Contribution, folder: Path) -> Path:
    """Write the rows into a folder, by their own name, and return the file."""
    path = folder / f"{found.name}.csv"
    with atomic_path(path) as temporary:
        found.frame.to_csv(temporary, index=False, lineterminator="\n")
    return path


def contributed_table(files: Iterable[Path], own: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the template of the table prints: each row of others, one's own above them.

    Args:
        files: as `write_contribution` writes them.
        own: rows of the runs at hand, as `mean_row` makes them.

    Raises:
        UserError: a file is no such table.
    """
    import pandas as pd

    frames = []
    for path in sorted(files):
        frame = read_frame(path)
        require(frame, (*CELL, *SHOWN, "n_seeds", "by", "hardware"), path)
        frames.append(frame)
    theirs = pd.concat(frames)
    cells = theirs[list(CELL)].drop_duplicates().to_dict("records")
    rows = []
    for cell in cells:
        here = [row for row in own if all(row[str(key)] == value for key, value in cell.items())]
        rows += [_row(row, "measured here") for row in here]
        same = (theirs[list(CELL)] == list(cell.values())).all(axis=1)
        for row in theirs[same].to_dict("records"):
            rows.append(_row(row, f"{row['by']}, {row['hardware']}"))
    return {
        "title": "Contributed results",
        "header": ("Seeds", "R@1 (%) base", "+TCM", "OPIS (×10⁻³) base", "+TCM", "change"),
        "rows": rows,
        "sentences": [VERIFIED],
    }


def _row(row: Mapping[Any, Any], by: str) -> tuple[str, str, tuple[str, ...]]:
    dataset = dataset_title(str(row["dataset"]), str(row["scale"]))
    what = f"{dataset} · {backbone_title(str(row['backbone']))} · {loss_title(str(row['loss']))}"
    return (
        what,
        by,
        (
            str(row["n_seeds"]),
            f"{100 * row['recall_at_1_base']:.1f}",
            f"{100 * row['recall_at_1_tcm']:.1f}",
            f"{1e3 * row['opis_base']:.3g}",
            f"{1e3 * row['opis_tcm']:.3g}",
            f"{1e3 * row['opis_delta']:+.3g}",
        ),
    )


def hardware_of(record: Mapping[str, Any]) -> str:
    """Return what a run.json names as the machine: its GPU, else its processor."""
    hardware = record.get("hardware") or {}
    return str(hardware.get("gpu") or hardware.get("cpu") or "not recorded")


def read_contributed(folder: Path) -> list[Path]:
    """Return the tables of a folder, which may be absent."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder; name the one with contributed tables")
    return sorted(folder.glob("*.csv"))
