"""Print what a suite costs before it runs.

python src/plan.py [--suite NAME] (--gpu NAME | --gpu-memory GB) [--price P] [--csv FILE]

On any machine, without GPU, data or network.
"""

import argparse
import math
from pathlib import Path

from tcmbench.common.commands import run_command

SHARE = 0.4


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        description="Print each run's operations a step, steps, peak memory, largest chunk_size "
        "and hours, and the suite's download, disk, hours and price. Operations are counted by "
        "torch on tensors without numbers, steps are drawn by the sampler, memory is a formula "
        "over counted activations, and hours are operations divided by a share of the GPU's "
        "published peak, or images divided by measured images a second.",
    )
    parser.add_argument("--suite", help="default: the one that config.yaml chooses")
    parser.add_argument(
        "--gpu", metavar="NAME", help="such as H100, A100 80GB, L4, RTX 4090; gives memory and peak"
    )
    parser.add_argument(
        "--gpu-memory",
        type=_positive,
        metavar="GB",
        help="memory in GB (10^9 bytes), in place of that of --gpu; alone: as fast as the slowest "
        "GPU of the table with bfloat16 and that much, or less",
    )
    parser.add_argument(
        "--share",
        type=_share,
        default=SHARE,
        help="of the GPU's peak that a training reaches, 0 to 1; assumed, not measured "
        f"(default: {SHARE})",
    )
    parser.add_argument(
        "--rates",
        help="images a second, forward and backward, instead of a share of the peak: a table of "
        "bench_step.py, or numbers such as resnet50=3000,vit_b16=1200 (default: the table in "
        "results/reference that was measured on this --gpu, if there is one)",
    )
    parser.add_argument("--price", type=_positive, metavar="P", help="of an hour of the GPU")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row a run here")
    parser.add_argument(
        "--config", type=Path, default=Path("config.yaml"), help="default: config.yaml"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Print the plan, and write it as CSV."""
    from tcmbench import datasets
    from tcmbench.common.paths import keep_apart
    from tcmbench.config.check import check, runs, train_config
    from tcmbench.config.reading import read_config
    from tcmbench.losses import available_losses
    from tcmbench.photos.plan import with_sizes
    from tcmbench.plan.gpus import chosen
    from tcmbench.plan.rates import rates_for, tables_read
    from tcmbench.plan.report import lines, write_csv
    from tcmbench.plan.rows import plan
    from tcmbench.plan.storage import storage_of
    from tcmbench.training.settings import Settings

    keep_apart([arguments.csv], [arguments.config, *tables_read(arguments.rates, Path())])
    raw = read_config(arguments.config, arguments.suite)
    config = with_sizes(check(raw, datasets.names(), available_losses()))
    gpu, suite = chosen(arguments.gpu, arguments.gpu_memory), config["suite"]
    backbones = config["suites"][suite]["backbones"]
    rates = rates_for(arguments.rates, gpu, backbones, Path())
    rows = plan(config, gpu, arguments.share, rates, Path())
    settings = [Settings.from_json(train_config(config, run)) for run in runs(config)]
    storage = storage_of(config, settings, gpu)
    for line in lines(rows, suite, gpu, arguments.price, storage):
        print(line)
    if arguments.csv is not None:
        write_csv(arguments.csv, rows, arguments.price)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = _positive(text)
    if value > 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    run_command(parser(), command)
