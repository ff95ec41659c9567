"""Time and memory of the losses and of TCM, against the published ways to compute them.

    python tests/benchmarks/bench_losses.py [--device cuda] [--threads 2] [--limit 512]

Time: forward and backward, medians of alternating turns in one process, each the median of the
steps that fit in 50 ms, one at least, after one that is not counted. On a CPU with one thread it is
the CPU time of this process, so that other work on the machine counts little; else it is wall
clock, on CUDA between synchronisations. Memory: the peak beyond what was there before, the inputs
included there, of one step in a process of its own: resident memory on a CPU (Linux), so that graph
nodes and a library's buffers count, and the allocator's peak on CUDA.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import torch
from loss_ways import BASES, batch_of, peak, step, times
from reference_file import reference_file

#: Ours, the other, batch, goals: how many times faster, and how many times less memory.
PEERS = [
    ("tcm", "pytorch-metric-learning tcm", 128, 80, None),
    ("tcm", "pytorch-metric-learning tcm", 512, 500, None),
    ("recall_at_k", "per-query recall_at_k", 1024, 40, 40),
    ("smooth_ap", "B^3 smooth_ap", 384, 200, 150),
]
ADDED = [(name, batch) for name in BASES for batch in (112, 384, 512, 1024)]
ADDED_GOAL = 1.25
LARGE = [(name + margin, 4096) for name in BASES for margin in ("", " + tcm")]
LARGE_GOAL_MB = 500


@dataclass(frozen=True)
class Row:
    """A figure beside its goal; `ours` and `other` are in ms or MB (10^6)."""

    comparison: str
    batch: int
    quantity: str
    other: float | str
    ours: float
    measured: float
    goal: str
    met: str


def against(arguments: argparse.Namespace) -> Iterator[Row]:
    """Compare with the published ways, which must give the same loss."""
    for ours, other, size, faster, smaller in PEERS:
        if size > arguments.limit:
            continue
        title, batch = f"{ours} against {other}", batch_of(size, arguments.device)
        torch.testing.assert_close(step(ours, batch), step(other, batch), rtol=1e-4, atol=1e-5)
        slow, fast = (1e3 * value for value in times([other, ours], batch))
        yield at_least(title, size, "times faster", slow, fast, faster)
        large, small = (alone(way, size, arguments) for way in (other, ours))
        yield at_least(title, size, "times less memory", large, small, smaller)


def at_least(
    title: str, size: int, quantity: str, other: float, ours: float, goal: int | None
) -> Row:
    """Judge a ratio that should be large."""
    met = "" if goal is None else "yes" if other / ours >= goal else "no"
    wanted = "" if goal is None else f">= {goal}"
    return Row(title, size, quantity, other, ours, other / ours, wanted, met)


def added(arguments: argparse.Namespace) -> Iterator[Row]:
    """Measure what TCM adds to a base loss that shares its matrix."""
    for name, size in ADDED:
        if size > arguments.limit:
            continue
        alone_ms, both_ms = (
            1e3 * value
            for value in times([name, f"{name} + tcm"], batch_of(size, arguments.device))
        )
        ratio = both_ms / alone_ms
        met = "yes" if ratio <= ADDED_GOAL else "no"
        title = f"{name} + tcm against {name}"
        yield Row(title, size, "times slower", alone_ms, both_ms, ratio, f"<= {ADDED_GOAL}", met)


def large(arguments: argparse.Namespace) -> Iterator[Row]:
    """Measure the memory of the largest batch, with the losses called inside autocast."""
    for way, size in LARGE:
        if size > arguments.limit:
            continue
        used = alone(way, size, arguments, mixed=True)
        met = "yes" if used < LARGE_GOAL_MB else "no"
        yield Row(f"{way} in autocast", size, "MB", "", used, used, f"< {LARGE_GOAL_MB}", met)


def alone(way: str, size: int, arguments: argparse.Namespace, mixed: bool = False) -> float:
    """Return the peak memory of a step in a process that takes no other."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(peak, (way, size, arguments.device, arguments.threads, mixed))


def main() -> None:
    """Print the table as it is measured and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--limit", type=int, default=4096, help="leave larger batches out")
    parser.add_argument("--out", type=Path, help="default: results/reference/losses-*.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for part in (against, added, large):
        for row in part(arguments):
            rows.append({**asdict(row), "device": arguments.device, "threads": arguments.threads})
            other = row.other if row.other == "" else f"{row.other:.4g}"
            print(
                f"{row.comparison:46} B {row.batch:5} {other:>8} -> {row.ours:8.4g}: "
                f"{row.measured:7.4g} {row.quantity:18} {row.goal:8} {row.met}",
                flush=True,
            )
    out = arguments.out or reference_file("losses", arguments.device)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(out)


if __name__ == "__main__":
    main()
