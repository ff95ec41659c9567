"""Train one model.

python src/train.py --config FILE.json --out FOLDER [--resume]

Exit code 0: done; 2: bad input, one line says what; 130 or 143: stopped by SIGINT or SIGTERM after
the step at hand, whose state is saved, so that the same call with --resume continues.
"""

import argparse
import json
import sys
from pathlib import Path

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.common.paths import keep_apart


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
    parser.add_argument(
        "--checkpoint-minutes",
        type=float,
        default=10.0,
        metavar="MINUTES",
        help="save last.ckpt so often, and after each epoch (default: 10)",
    )
    parser.add_argument(
        "--log-seconds",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="a line and a row of log.csv so often (default: 20; on a terminal at least every 2)",
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write TensorBoard events too (default: no)"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Train."""
    values = _stdin() if arguments.config == "-" else read_json(arguments.config)
    from tcmbench.training.journal import Watching
    from tcmbench.training.launch import launch
    from tcmbench.training.loop import FILES
    from tcmbench.training.settings import Settings

    settings = Settings.from_json(values)
    read = (arguments.config, settings.manifest, settings.weights, settings.loss.file)
    keep_apart((arguments.out / name for name in FILES), (Path(name) for name in read if name))
    watching = Watching(arguments.log_seconds, arguments.checkpoint_minutes, arguments.tensorboard)
    launch(settings, arguments.out, arguments.device, arguments.resume, watching)


def _stdin() -> object:
    try:
        return json.load(sys.stdin.buffer)
    except ValueError as error:
        raise UserError(f"standard input is not valid JSON ({error}); pipe in a config") from None


if __name__ == "__main__":
    run_command(parser(), command)
