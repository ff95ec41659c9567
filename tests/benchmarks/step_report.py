"""The table of measured steps, on screen and as CSV, and the ratios that goals are about."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch


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


def print_table(rows: Sequence[Row]) -> None:
    """Print the ways of one pair of backbone and loss, and their ratios."""
    first = rows[0]
    print(
        f"\n{first.backbone}, {first.loss}, JPEGs of {first.jpegs}: batch {first.batch_size}, "
        f"chunks of {first.chunk_size}, {first.kept_chunks} kept, {first.precision}"
        f"{', compiled' if first.compiled else ''}, {first.workers} loading processes"
    )
    for row in rows:
        print(
            f"  {row.way:28} {row.rate:10,.1f} images/s {1e3 * row.seconds:12,.1f} ms a step "
            f"{row.memory_mb / 1e3:8.2f} GB"
        )
    for name, value in ratios(rows).items():
        print(f"  {name}: {value}")


def ratios(rows: Sequence[Row]) -> dict[str, str]:
    """Name the ratios between the ways of one pair of backbone and loss."""
    disk, device, without, plain = (row.seconds for row in rows)
    return {
        "from disk, of on the device": f"{100 * device / disk:.1f} %",
        "from disk, against plain float32 on the device": f"{plain / disk:.2f} x",
        "TCM's share of a step on the device": f"{100 * (device - without) / device:.2f} %",
    }


def write_csv(path: Path, rows: Sequence[Row], device: torch.device) -> None:
    """Write all rows with the hardware, the version of torch and the date."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    common = {"device": name, "torch": str(torch.__version__), "date": f"{datetime.now(UTC):%F}"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        columns = [*asdict(rows[0]), "images_per_second", *common]
        table = csv.DictWriter(stream, columns, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({**asdict(row), "images_per_second": round(row.rate, 1), **common})
