"""What the measured rates say of the whole suite."""

from dataclasses import replace
from pathlib import Path

import torch

from tcmbench.config.schema import Config
from tcmbench.plan.gpus import GPUS, Gpu, is_device
from tcmbench.plan.rates import measured
from tcmbench.plan.rows import plan
from tcmbench.preflight.rows import device_name

FULL = "full"


def gpu_of(device: torch.device) -> Gpu:
    """Return the GPU at hand with its true memory; one that is in no table has no peak."""
    name, memory = device_name(device), torch.cuda.get_device_properties(device).total_memory / 1e9
    known = next((gpu for gpu in GPUS if is_device(gpu, name)), Gpu(name, memory, None, 1.0))
    return replace(known, name=name, memory=memory)


def hours(config: Config, device: torch.device, table: Path) -> float | None:
    """Return the hours of a suite by a table of measured steps; None but for full scale on a GPU.

    Raises:
        UserError: a run does not fit the GPU.
    """
    if device.type != "cuda" or config["suites"][config["suite"]]["scale"] != FULL:
        return None
    # Every backbone has a measured rate, so that no share of a peak is assumed.
    rows = plan(config, gpu_of(device), 1.0, measured(table), Path())
    return sum(row.hours for row in rows)


def usual_table(device: torch.device) -> Path:
    """Return where a table of steps on this device is looked for by `make plan`."""
    name = device_name(device).lower().replace(" ", "-")
    version = str(torch.__version__).partition("+")[0]
    return Path(f"results/reference/steps_{name}_torch{version}.csv")
