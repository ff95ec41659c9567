"""The plan on screen, with a note for each number on how it is made, and as CSV."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from tcmbench.common.files import atomic_path
from tcmbench.plan.gpus import Gpu
from tcmbench.plan.memory import COPIES, PASSING, RESERVED_GB
from tcmbench.plan.rows import Row
from tcmbench.plan.storage import Storage

PRICED = "cost"
NOTES = (
    "TFLOP/step: 10^12 operations of products, convolutions and attention, counted by torch's "
    "FlopCounterMode on tensors without numbers; forward and backward, each image's second forward "
    "pass where there are two, the loss and TCM included.",
    "Steps: drawn by the training's own sampler, from the prepared manifest where it is there; "
    "~: from the published numbers of images and classes, the classes taken as equally large. "
    "Unequal ones give fewer steps.",
    f"Peak GB (10^9 bytes): weights, gradients and Adam's state ({COPIES} x 4 bytes a trained "
    "number), the batch's images as bytes, its embeddings and the loss's similarity matrices, and "
    "the activations of a chunk, as a saved-tensor hook counts them, with "
    f"{100 * (PASSING - 1):.0f} % for what passes. {RESERVED_GB} GB more are left for the driver, "
    "cuDNN and gaps: the formula is good to about 1 GB.",
    "Chunk: the configured chunk_size; with auto the largest that fits by this formula. The "
    "training measures it anew on its GPU.",
    "Hours: training alone, one GPU, data ready in time; embedding and evaluating the test images "
    "add a percent or two.",
)


def lines(
    rows: Sequence[Row], suite: str, gpu: Gpu, price: float | None, storage: Storage
) -> list[str]:
    """Return the lines to print: the table, the totals, and how the numbers are made.

    Args:
        rows: of every run.
        suite: its name.
        gpu: where they run.
        price: of an hour of it, in any currency; None for no costs.
        storage: of the suite.
    """
    hours = sum(row.hours for row in rows)
    cost = "" if price is None else f", {hours * price:,.2f} at {price:g} an hour"
    operations = sum(row.steps * row.tflop_per_step for row in rows) / 1e6
    return [
        f"Suite {suite} on {gpu.name} ({gpu.memory:g} GB): {len(rows)} runs",
        *_aligned(rows),
        f"total {hours:.1f} GPU-hours{cost}; {operations:.1f} EFLOP (10^18)",
        *_shares(rows, hours),
        f"to download {storage.download / 1e9:,.1f} GB; disk in all {storage.disk / 1e9:,.0f} GB "
        "(archives, images, decoded test images, weights and embeddings)",
        "",
        *NOTES,
        f"Hours are made from: {'; '.join(dict.fromkeys(row.hours_from for row in rows))}.",
    ]


def write_csv(path: Path, rows: Sequence[Row], price: float | None) -> None:
    """Write a row a run, with its cost where a price an hour is given."""
    columns = [field.name for field in fields(Row)]
    with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(
            stream, columns if price is None else [*columns, PRICED], lineterminator="\n"
        )
        table.writeheader()
        for row in rows:
            values = asdict(row)
            table.writerow(values if price is None else values | {PRICED: row.hours * price})


def _aligned(rows: Sequence[Row]) -> list[str]:
    seeds = len({row.seed for row in rows}) > 1
    header = (
        *("dataset", "backbone", "loss", "variant"),
        *(["seed"] if seeds else []),
        *("batch", "chunk", "passes", "steps", "TFLOP/step", "peak GB", "hours"),
    )
    body = [
        (
            *(row.dataset, row.backbone, row.loss, row.variant),
            *([str(row.seed)] if seeds else []),
            *(str(row.batch_size), str(row.chunk_size), str(row.passes)),
            f"{'' if row.steps_exact else '~'}{row.steps}",
            *(f"{row.tflop_per_step:.2f}", f"{row.peak_gb:.1f}", f"{row.hours:.2f}"),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 4 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in (header, *body)
    ]


def _shares(rows: Sequence[Row], hours: float) -> list[str]:
    found = []
    for name in dict.fromkeys(row.dataset for row in rows):
        own = sum(row.hours for row in rows if row.dataset == name)
        found.append(f"{name} {own:.1f} h ({100 * own / hours:.0f} %)")
    return [", ".join(found)]
