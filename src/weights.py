"""Get the weights that a backbone starts from.

python src/weights.py --timm NAME [--source hub|digits] [--revision COMMIT] --out FILE.safetensors
"""

import argparse
import json
from pathlib import Path
from typing import Any

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError
from tcmbench.common.files import sha256
from tcmbench.common.paths import keep_apart


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    description = "Fetch a backbone's published weights, or pretrain it on written numbers."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--timm", required=True, help="timm model name with its tag")
    parser.add_argument(
        "--model-args", type=json.loads, default={}, help="arguments of the model as JSON"
    )
    parser.add_argument("--source", choices=["hub", "digits"], default="hub", help="default: hub")
    parser.add_argument("--revision", help="commit of the hub's repository (default: the newest)")
    parser.add_argument("--sha256", help="of the hub's model.safetensors (default: any)")
    parser.add_argument(
        "--file", type=Path, help="model.safetensors fetched by hand, instead of the hub"
    )
    parser.add_argument("--out", type=Path, required=True, help=".safetensors file to write")
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Write the weights, and beside them a .json that says where they come from."""
    if arguments.source != "hub" and (arguments.revision or arguments.sha256 or arguments.file):
        raise UserError(
            f"revision, sha256 and file say which weights of the hub are wanted, but the source is "
            f"'{arguments.source}'; remove them from the backbone's entry of config.yaml"
        )
    from tcmbench.common.provenance import provenance, write_record

    beside = arguments.out.with_suffix(".json")
    keep_apart([arguments.out, beside], [arguments.file])

    made = _hub(arguments) if arguments.source == "hub" else _digits(arguments)
    record = {
        "timm": arguments.timm,
        "model_args": arguments.model_args,
        "source": arguments.source,
        "sha256": sha256(arguments.out),
        **made,
        **provenance(),
    }
    write_record(beside, record)


def _hub(arguments: argparse.Namespace) -> dict[str, Any]:
    from tcmbench.models.hub import pretrained
    from tcmbench.models.network import save_tensors

    backbone, origin = pretrained(
        arguments.timm,
        arguments.model_args,
        arguments.revision,
        arguments.sha256,
        arguments.file,
    )
    save_tensors(backbone, arguments.out)
    return origin


def _digits(arguments: argparse.Namespace) -> dict[str, Any]:
    from tcmbench.models.pretraining import pretrain

    return pretrain(arguments.timm, arguments.model_args, arguments.out)


if __name__ == "__main__":
    run_command(parser(), command)
