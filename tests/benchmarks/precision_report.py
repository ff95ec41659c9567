"""The measured errors of each precision as a table, the worst case of each network."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: A tenth of the losses' temperature.
LIMIT = 1e-3
#: Peak rates without sparsity, 10^12 operations a second, of the makers' data sheets.
PEAKS = {
    "A100": {"float32": 19.5, "tf32": 156, "half": 312},
    "H100 SXM": {"float32": 67, "tf32": 495, "half": 989},
}
#: How a way computes a network's forward and backward passes.
KINDS = {
    "float32": ("float32", "float32"),
    "tf32_backward": ("float32", "tf32"),
    "tf32": ("tf32", "tf32"),
    "float16": ("half", "half"),
    "bfloat16": ("half", "half"),
}
#: Forward passes of a step; its backward pass has the operations of two.
PASSES = {"one pass": 1, "two passes": 2}
HEAD = """Errors of each precision against float64, by `tests/benchmarks/bench_precision.py`.
{where}
The worst of a network's runs; single runs are in the CSV of the same name.

- Similarities: of all pairs of test images, a cosine from -1 to 1. A tenth of the losses'
  temperature is {limit}: only a way whose largest error is below it holds.
- Gradients: one batch in two passes, all parameters; the length of the error against that of the
  gradient, and their cosine.
- `test_resnet`, `test_vit`: the quick suite's networks, trained. `resnet50`, `vit_b16`: random
  start weights and {steps} steps on 64 pixels, so their errors say less of trained ones.
"""
EMULATED = (
    "Products are computed on a processor as tensor cores compute them: factors rounded, sums in "
    "float32."
)
COSTS = """\
- Cost of a step: an estimate from the operations and the peak rates of data sheets, float32 = 1;
  memory traffic and all else left out. Nothing of it was measured: a processor's times say nothing
  of a GPU's. Activations take 4 bytes in float32 and in TF32, 2 in float16 and bfloat16.
"""


def write_report(file: Path, rows: Sequence[Any], device: str) -> None:
    """Write the table and what its columns mean; costs are estimated where none can be measured."""
    emulated = device == "cpu"
    steps = max((row.steps for row in rows if not row.network.startswith("test_")), default=0)
    lines = [*table(rows), *(["", *costs()] if emulated else [])]
    where = EMULATED if emulated else f"Products are those of one {device}."
    head = HEAD.format(where=where, limit=LIMIT, steps=steps) + (COSTS if emulated else "")
    text = head + "\n" + "\n".join(lines) + "\n"
    file.write_text(text, encoding="utf-8")


def table(rows: Sequence[Any]) -> Iterator[str]:
    """A line for each network and way."""
    yield (
        "| network | runs | precision | similarity, max | rms | holds | gradient, error | cosine |"
    )
    yield "| --- | --: | --- " + "| --: " * 2 + "| --- " + "| --: " * 2 + "|"
    for network, way in dict.fromkeys((row.network, row.way) for row in rows):
        same = [row for row in rows if (row.network, row.way) == (network, way)]
        worst = max(row.similarity_max for row in same)
        rms = max(row.similarity_rms for row in same)
        error = max(row.gradient_error for row in same)
        cosine = min(row.gradient_cosine for row in same)
        holds = "yes" if worst < LIMIT else "no"
        yield (
            f"| {network} | {len(same)} | {way} | {worst:.2g} | {rms:.2g} | {holds} | "
            f"{100 * error:.2g} % | {cosine:.6f} |"
        )


def costs() -> Iterator[str]:
    """A line for each precision, a column for each GPU and number of passes."""
    columns = [(gpu, passes) for gpu in PEAKS for passes in PASSES]
    yield f"| cost, estimated | {' | '.join(f'{gpu}, {passes}' for gpu, passes in columns)} |"
    yield "| --- " + "| --: " * len(columns) + "|"
    for way in KINDS:
        yield f"| {way} | {' | '.join(f'{cost(way, *column):.2f}' for column in columns)} |"


def cost(way: str, gpu: str, passes: str) -> float:
    """Time of a step at peak rates; float32 = 1."""
    peaks, times = PEAKS[gpu], PASSES[passes]
    forward, backward = (peaks[kind] for kind in KINDS[way])
    return (times / forward + 2 / backward) / ((times + 2) / peaks["float32"])
