"""Train one model.

python src/train.py --config FILE.json --out FOLDER [--resume]
"""

import argparse
import json
import sys
from pathlib import Path

from tcmbench.errors import UserError, run_command
from tcmbench.files import read_json


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    description = "Train one model; writes model.safetensors and run.json, or continues."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--config",
        required=True,
        help="training configuration as JSON; the run.json of an earlier run also works; "
        "- reads standard input",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--resume", action="store_true", help="continue from last.ckpt in the folder (default: no)"
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Train."""
    values = _stdin() if arguments.config == "-" else read_json(arguments.config)
    from tcmbench.devices import claim_device
    from tcmbench.training.loop import train
    from tcmbench.training.settings import Settings

    settings = Settings.from_json(values)
    train(settings, arguments.out, claim_device(arguments.device), arguments.resume)


def _stdin() -> object:
    try:
        return json.load(sys.stdin)
    except ValueError as error:
        raise UserError(f"standard input is not valid JSON ({error}); pipe in a config") from None


if __name__ == "__main__":
    run_command(parser(), command)
