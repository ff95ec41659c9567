"""Make certain what a suite needs on this machine, before it runs for days.

python src/preflight.py [--suite NAME] [--device auto|cpu|cuda] [--csv FILE] [--offline]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Take a few real steps of each backbone and loss at the recipe's batch, on "
        "pictures of noise through the real loader; embed; evaluate as many images as the largest "
        "dataset has; ask every mirror; look at disk, shared memory and open files. Prints one "
        "table and a verdict. Ten minutes on a GPU; no dataset has to be there. Exit code 1 if "
        "something is missing.",
    )
    described.add_argument("--suite", help="default: the one that config.yaml chooses")
    described.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )
    described.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="where the table of steps goes, which `make plan` reads (default on a GPU: "
        "results/reference/steps_GPU_torchVERSION.csv)",
    )
    described.add_argument("--offline", action="store_true", help="ask no mirror")
    described.add_argument(
        "--timeout", type=float, default=30.0, help="patience with a mirror, seconds (default: 30)"
    )
    described.add_argument(
        "--config", type=Path, default=Path("config.yaml"), help="default: config.yaml"
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Print the table and the verdict; leave with 1 where something is missing."""
    import torch

    from tcmbench import datasets
    from tcmbench.common.devices import claim_device
    from tcmbench.common.driver import require_driver
    from tcmbench.common.paths import keep_apart
    from tcmbench.config.check import check, runs, train_config
    from tcmbench.config.reading import read_config
    from tcmbench.losses import available_losses
    from tcmbench.photos.plan import with_sizes
    from tcmbench.plan.gpus import GPUS
    from tcmbench.plan.storage import storage_of
    from tcmbench.preflight.checks import checks
    from tcmbench.preflight.outlook import hours, usual_table
    from tcmbench.preflight.report import lines
    from tcmbench.preflight.rows import device_name, write_csv
    from tcmbench.preflight.work import measured
    from tcmbench.training.settings import Settings

    keep_apart([arguments.csv], [arguments.config])
    raw = read_config(arguments.config, arguments.suite)
    config = with_sizes(check(raw, datasets.names(), available_losses()))
    if torch.version.cuda and arguments.device != "cpu":
        require_driver(str(torch.__version__), torch.version.cuda)
    if config["suites"][config["suite"]]["scale"] == "full" and not torch.cuda.is_available():
        raise UserError(
            f"suite '{config['suite']}' is measured on a GPU and torch sees none here; the small "
            "form runs on a processor: --suite quick --device cpu"
        )
    device = claim_device(arguments.device)
    settings = [Settings.from_json(train_config(config, run)) for run in runs(config)]
    # Files are as large whatever GPU writes them.
    needed = storage_of(config, settings, GPUS[0]).disk
    timeout = None if arguments.offline else arguments.timeout
    found = list(checks(config, settings, needed, timeout))
    table = arguments.csv or (usual_table(device) if device.type == "cuda" else None)
    with tempfile.TemporaryDirectory() as folder:
        done = measured(config, device, Path(folder))
        kept = table or Path(folder) / "steps.csv"
        write_csv(kept, done.rows, device)
        time = hours(config, device, kept)
    for line in lines(device_name(device), done, found, time):
        print(line)
    if any(one.missing for one in found):
        sys.exit(1)


if __name__ == "__main__":
    run_command(parser(), command)
