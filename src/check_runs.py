"""Say whether trainings can be built, and train nothing.

Usage: python src/check_runs.py < CONFIGS.json
"""

import argparse
import json
import sys

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    return argparse.ArgumentParser(
        description="Build the network and the loss of trainings, without data and start weights. "
        "Standard input is a JSON list of what `src/train.py --config` takes. Exit code 2 and one "
        "sentence where one cannot be built.",
    )


def command(arguments: argparse.Namespace) -> None:  # noqa: ARG001
    """Build."""
    try:
        configs = json.load(sys.stdin.buffer)
    except ValueError as error:
        raise UserError(f"standard input is not valid JSON ({error}); pipe in a list") from None
    try:
        from tcmbench.training.buildable import require_buildable
    except ModuleNotFoundError as error:
        raise UserError(
            f"{sys.executable}, which trainings run with, has no package '{error.name}'; install "
            "it, or call the Snakemake of the environment that has it"
        ) from None
    require_buildable(configs)


if __name__ == "__main__":
    run_command(parser(), command)
