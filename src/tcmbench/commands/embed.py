"""Embed the images of a manifest with a trained model."""

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--run", type=Path, required=True, help="folder with model.safetensors and run.json"
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, help="CSV with path, label, class_name"
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="folder that the manifest's paths start from"
    )
    parser.add_argument(
        "--view",
        type=Path,
        help="the same images as src/view.py wrote them (default: decode them here)",
    )
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Embed."""
    from tcmbench.common.devices import claim_device
    from tcmbench.embedding import embed

    device = claim_device(arguments.device)
    embed(
        arguments.run,
        arguments.manifest,
        arguments.images,
        arguments.out,
        device,
        arguments.view,
    )
