"""Images a second, forward and backward: measured on a GPU, or given by hand."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError, nearest
from tcmbench.plan.gpus import Gpu, is_device

# Where tests/benchmarks/bench_step.py puts its tables, and its name for a step with everything in.
MEASURED = "results/reference/steps_*.csv"
FROM_DISK = "JPEGs from disk"
COLUMNS = (
    *("backbone", "way", "precision", "batch_size", "chunk_size"),
    *("images_per_second", "device"),
)
# The precision of a rate given by hand.
ANY = ""
# A forward pass is a third of a forward and a backward one.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Rates:
    """Images a second, forward and backward, by backbone, precision and passes (1 or 2) of a step.

    The precision `ANY` stands for all of them.
    """

    source: str
    device: str
    values: Mapping[tuple[str, str, int], float]

    def seconds(
        self, backbone: str, precision: str, images: int, embedded_twice: float
    ) -> float | None:
        """Return the time for images of which a share is embedded twice; None without a rate.

        Where only the rate of single passes is known, a second forward pass adds a third.
        """
        once, twice = (
            self.values.get((backbone, precision, passes), self.values.get((backbone, ANY, passes)))
            for passes in (1, 2)
        )
        if embedded_twice and twice is not None:
            return images / twice
        return None if once is None else images * (1 + FORWARD * embedded_twice) / once


NONE = Rates("", "", {})


def rates_for(text: str | None, gpu: Gpu, backbones: Iterable[str], folder: Path) -> Rates:
    """Return the rates of `--rates`, or else those measured on this GPU, if any were.

    Args:
        text: a file of bench_step.py, NAME=RATE pairs, or None.
        gpu: the GPU of the plan.
        backbones: those of the suite.
        folder: working directory, in which `MEASURED` is looked for.

    Raises:
        UserError: the text is neither, the file is none, or a name is no backbone of the suite.
    """
    files = tables_read(text, folder)
    if text is None:
        tables = [measured(path) for path in files]
        # Of several tables of one GPU the last counts: their names end in versions.
        return next((t for t in reversed(tables) if is_device(gpu, t.device)), NONE)
    return measured(files[0]) if files else given(text, backbones)


def tables_read(text: str | None, folder: Path) -> list[Path]:
    """Return the tables that `rates_for` reads; none where rates are given by hand."""
    if text is None:
        return sorted(folder.glob(MEASURED))
    return [Path(text)] if text.endswith(".csv") else []


def given(text: str, backbones: Iterable[str]) -> Rates:
    """Read rates such as `resnet50=3000,vit_b16=1200`, of single passes.

    Raises:
        UserError: not of this form, a rate that is not positive, or a name that is no backbone.
    """
    values: dict[tuple[str, str, int], float] = {}
    known = list(backbones)
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not name or not 0 < rate < float("inf"):
            raise UserError(
                f"--rates '{part}' is not NAME=IMAGES_PER_SECOND; write for instance "
                "resnet50=3000,vit_b16=1200, or name a table of bench_step.py"
            )
        if name not in known:
            raise UserError(f"--rates names '{name}', no backbone here; {nearest(name, known)}")
        values[name, ANY, 1] = rate
    shown = ", ".join(f"{name} {rate:,.0f}" for (name, *_), rate in values.items())
    return Rates(f"ASSUMED, not measured: {shown} images/s forward and backward", "", values)


def measured(path: Path) -> Rates:
    """Read a table of tests/benchmarks/bench_step.py; of several sizes of JPEG the slowest counts.

    Raises:
        UserError: the file is missing or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream, restval="")
            rows = [row for row in table if row["way"] == FROM_DISK]
        found: dict[tuple[str, str, int], float] = {}
        for row in rows:
            passes = 1 + (int(row["batch_size"]) > int(row["chunk_size"]))
            key = row["backbone"], row["precision"], passes
            found[key] = min(float(row["images_per_second"]), found.get(key, float("inf")))
        device = rows[0]["device"]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; measure it with bench_step.py --csv") from None
    except (KeyError, ValueError, IndexError, csv.Error):
        raise UserError(
            f"{path} is no table of bench_step.py (it needs {', '.join(COLUMNS)} and a row of "
            f"'{FROM_DISK}'); measure it anew"
        ) from None
    return Rates(f"measured on {device}: {path}", device, found)
