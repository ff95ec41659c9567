"""The table of a preflight and its verdict."""

from collections.abc import Iterator, Sequence

from tcmbench.preflight.checks import Check
from tcmbench.preflight.rows import DEVICE, DISK, WITHOUT, Row
from tcmbench.preflight.work import Done

#: Of the rate with images on the device, below which images come too slowly.
FED = 0.9


def lines(name: str, done: Done, checks: Sequence[Check], hours: float | None) -> Iterator[str]:
    """Yield the lines to print; the last one is the verdict.

    Args:
        name: of the device.
        done: what was measured.
        checks: of the machine.
        hours: of the suite by these rates; None where none can be said.
    """
    columns = "{:<12} {:<12} {:>6} {:>6} {:<9} {:>10} {:>10} {:>7} {:>8} {:>6}"
    yield columns.format(
        *("backbone", "loss", "batch", "chunk", "precision"),
        *("images/s", "on device", "share", "peak GB", "TCM"),
    )
    for disk, device, without in _pairs(done.rows):
        yield columns.format(
            *(disk.backbone, disk.loss, disk.batch_size, disk.chunk_size, disk.precision),
            f"{disk.rate:,.0f}",
            f"{device.rate:,.0f}",
            f"{100 * disk.rate / device.rate:.0f} %",
            f"{disk.memory_mb / 1e3:.1f}",
            f"{100 * (1 - without.seconds / device.seconds):.1f} %",
        )
    for backbone, rate in done.embedding.items():
        yield f"embedding, {backbone}: {rate:,.0f} images/s from JPEGs"
    yield "evaluation of {:,} images: {:.1f} s".format(*done.evaluation)
    for check in checks:
        yield f"{check.name}: {check.found}{' - MISSING' if check.missing else ''}"
    yield verdict(name, done.rows, checks, hours)


def verdict(name: str, rows: Sequence[Row], checks: Sequence[Check], hours: float | None) -> str:
    """Return one sentence: ready and for how long, or what is missing."""
    missing = [check.missing for check in checks if check.missing]
    if missing:
        return f"not ready: {'; '.join(missing)}"
    # Where no other process loads them, images are decoded between the steps.
    slow = [
        disk.backbone
        for disk, device, _ in _pairs(rows)
        if disk.workers and disk.rate < FED * device.rate
    ]
    names = " and ".join(dict.fromkeys(slow))
    but = f", but images come too slowly for {names}: give it more cores" if slow else ""
    time = "" if hours is None else f": about {hours:.0f} h"
    return f"ready{time} on {name}{but}"


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row, Row]]:
    ways: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        ways.setdefault((row.backbone, row.loss), {})[row.way] = row
    for found in ways.values():
        yield found[DISK], found[DEVICE], found[WITHOUT]
