"""Print the GPU-hours of a suite, from measured or assumed images a second.

python src/budget.py [--rates FILE.csv | resnet50=3000,vit_b16=1200] [--suite NAME]
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.common.errors import UserError, run_command

if TYPE_CHECKING:
    from tcmbench.training.budget import Rates


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    description = "Print the GPU-hours of a suite, run by run, before anything starts."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rates",
        help="images a second, forward and backward: a table of bench_step.py, or assumed ones "
        "such as resnet50=3000,vit_b16=1200 (default: the table in results/reference)",
    )
    parser.add_argument("--suite", help="default: the one that config.yaml chooses")
    parser.add_argument(
        "--config", type=Path, default=Path("config.yaml"), help="default: config.yaml"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Print the table."""
    from tcmbench import datasets
    from tcmbench.config.check import check
    from tcmbench.config.reading import read_config
    from tcmbench.losses import available_losses
    from tcmbench.training.budget import costs, table

    raw = read_config(arguments.config)
    if arguments.suite:
        raw["suite"] = arguments.suite
    config = check(raw, datasets.names(), available_losses())
    rates = _rates(arguments.rates)
    for line in table(costs(config, rates, Path()), config["suite"], rates.source):
        print(line)


def _rates(text: str | None) -> "Rates":
    from tcmbench.training.budget import MEASURED, given, measured

    if text is not None:
        return measured(Path(text)) if text.endswith(".csv") else given(text)
    tables = sorted(Path().glob(MEASURED))
    if len(tables) == 1:
        return measured(tables[0])
    found = f"several ({', '.join(map(str, tables))})" if tables else "none"
    raise UserError(
        f"of measured rates ({MEASURED}) there is {found}; name one by --rates, measure it with "
        "tests/benchmarks/bench_step.py --csv, or assume: --rates resnet50=3000,vit_b16=1200"
    )


if __name__ == "__main__":
    run_command(parser(), command)
