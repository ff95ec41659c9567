"""Images a second of real training steps, with real JPEGs from disk.

One command measures every GPU goal, on a machine with 16 cores beside the GPU:

    python tests/benchmarks/bench_step.py --device cuda --csv results/reference/steps_NAME.csv

and one step of each pair of loss and backbone at full image size, on the processor:

    python tests/benchmarks/bench_step.py --device cpu --single-steps

Weights are random: they change no time. Everything compared is measured in one process, in
alternating rounds, and given as the median of the rounds.
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import torch
import yaml

sys.path[:0] = [str(Path(__file__).parents[2] / "src")]

from plain_step import PlainStep
from step_report import print_table

from tcmbench import datasets
from tcmbench.config.check import Run, check, train_config
from tcmbench.config.schema import SCHEMA
from tcmbench.losses import available_losses
from tcmbench.models.network import EmbeddingModel
from tcmbench.preflight.photographs import write_photographs
from tcmbench.preflight.rows import Row, write_csv
from tcmbench.preflight.steps import Steps
from tcmbench.training.precision import PRECISIONS
from tcmbench.training.settings import Settings

PAPER = ("resnet50", "vit_b16")
LOSSES = ("smooth_ap", "recall_at_k")
PER_CLASS = 4
SIZES = {"500x375": (500, 375), "800x600": (800, 600)}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    backbones = [*PAPER, "test_resnet", "test_vit"]
    parser.add_argument("--backbone", choices=backbones, nargs="+", default=PAPER)
    parser.add_argument("--loss", choices=LOSSES, nargs="+", default=LOSSES)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--size", choices=SIZES, nargs="+", default=list(SIZES), help="of JPEGs")
    parser.add_argument("--images", type=int, default=8000, help="JPEGs on disk (default: 8000)")
    parser.add_argument("--batch", type=int, help="images a step (default: the recipe's)")
    # Not auto: the plain step in float32 needs twice the memory.
    parser.add_argument("--chunk", type=int, help="images embedded at once (default: 400)")
    parser.add_argument("--kept", type=int, help="chunks embedded once (default: the recipe's)")
    parser.add_argument("--workers", type=int, default=15, help="loading processes (default: 15)")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument("--steps", type=int, default=4, help="of each round (default: 4)")
    parser.add_argument("--compile", action="store_true", help="torch.compile, but the plain step")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--folder", type=Path, help="for the JPEGs (default: a temporary one)")
    parser.add_argument("--csv", type=Path, help="also write the table here")
    parser.add_argument(
        "--single-steps", action="store_true", help="one step of each pair at a reduced batch"
    )
    return parser.parse_args()


def settings_of(backbone: str, loss: str, options: argparse.Namespace, images: Path) -> Settings:
    """The SOP recipe of config.yaml with TCM, on other images."""
    raw = yaml.safe_load((SCHEMA.parents[2] / "config.yaml").read_text())
    raw["suite"] = "quick" if backbone.startswith("test_") else "paper"
    config = check(raw, datasets.names(), available_losses())
    values = train_config(config, Run("sop", backbone, loss, "tcm", 0))
    values |= {"manifest": str(images / "train.csv"), "images": str(images), "weights": None}
    changes = {"batch_size": options.batch, "chunk_size": options.chunk or 400, "epochs": 10**6}
    changes["kept_chunks"] = options.kept
    values["optimization"] |= {k: v for k, v in changes.items() if v is not None}
    values["compute"] = {"precision": options.precision, "compile": options.compile}
    return Settings.from_json(values)


def measured(
    settings: Settings, size: str, options: argparse.Namespace, device: torch.device
) -> list[Row]:
    """Medians of alternating rounds, with a plain step beside ours."""
    steps = Steps(settings, device)
    network = EmbeddingModel(settings.model).to(device).train()
    plain = PlainStep(network, settings.loss.name, settings.optimization)
    nchw = steps.images.contiguous()
    steps.ways["plain float32, without TCM"] = lambda: plain(nchw)
    return steps.measured(size, options.rounds, options.steps, options.workers)


def main() -> None:
    options = parsed()
    if options.single_steps:
        from single_steps import single_steps

        single_steps(options.backbone, options.loss, options.batch or 32, options.chunk or 8)
        return
    device = torch.device(options.device)
    # The loader makes a process for each thread but one; below three it loads in this process.
    torch.set_num_threads(options.workers + 1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in options.size:
            folder = (options.folder or Path(temporary)) / size
            count = options.images
            kilobytes = write_photographs(folder, count, PER_CLASS, SIZES[size], count)
            print(f"{options.images} JPEGs of {size} pixels, {kilobytes:.0f} kB each")
            for backbone, loss in itertools.product(options.backbone, options.loss):
                settings = settings_of(backbone, loss, options, folder)
                rows += measured(settings, size, options, device)
                print_table(rows[-4:])
                if options.csv is not None:
                    write_csv(options.csv, rows, device)


if __name__ == "__main__":
    main()
