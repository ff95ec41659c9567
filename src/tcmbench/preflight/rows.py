"""Measured steps as rows of a table, which `make plan` reads as rates."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from tcmbench.common.files import atomic_path

DISK, DEVICE, WITHOUT = "JPEGs from disk", "on the device", "on the device, without TCM"


@dataclass(frozen=True)
class Row:
    """One way to take a step; seconds are those of a step, memory is the peak in MB (10^6)."""

    backbone: str
    loss: str
    jpegs: str
    way: str
    batch_size: int
    chunk_size: int
    kept_chunks: int
    precision: str
    compiled: bool
    workers: int
    seconds: float
    memory_mb: float

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.batch_size / self.seconds


def device_name(device: torch.device) -> str:
    """Return what a table calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def write_csv(path: Path, rows: Sequence[Row], device: torch.device) -> None:
    """Write all rows with the hardware, the version of torch and the date."""
    common = {
        "device": device_name(device),
        "torch": str(torch.__version__),
        "date": f"{datetime.now(UTC):%F}",
    }
    with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        columns = [*asdict(rows[0]), "images_per_second", *common]
        table = csv.DictWriter(stream, columns, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({**asdict(row), "images_per_second": round(row.rate, 1), **common})
