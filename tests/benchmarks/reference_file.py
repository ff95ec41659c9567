"""Names of measured tables: what, on which hardware, with which torch."""

import re
from pathlib import Path

import torch

from tcmbench.common.provenance import provenance

FOLDER = Path(__file__).parents[2] / "results" / "reference"


def reference_file(kind: str, device: str) -> Path:
    """Name a table after the hardware and torch, as CSV in results/reference."""
    hardware = provenance()["hardware"]
    name = hardware["gpu"] if device == "cuda" else f"cpu {hardware['cpu']}"
    cores = "" if device == "cuda" else f"-{hardware['cpu_count']}cores"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    version = torch.__version__.partition("+")[0]
    return FOLDER / f"{kind}-{slug}{cores}-torch{version}.csv"
