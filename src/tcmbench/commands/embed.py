"""Embed the images of a manifest with a trained model, or pictures with any timm model."""

import argparse
from pathlib import Path

from tcmbench.common.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        description="Embed the images of a manifest with a trained run, or those of a folder with "
        "any timm model. The file is what src/evaluate.py takes."
    )
    run = parser.add_argument_group("a trained run")
    run.add_argument("--run", type=Path, help="folder with model.safetensors and run.json")
    run.add_argument("--manifest", type=Path, help="CSV with path, label, class_name")
    run.add_argument("--images", type=Path, help="folder that the manifest's paths start from")
    run.add_argument(
        "--view",
        type=Path,
        help="the same images as src/view.py wrote them (default: decode them here)",
    )
    plain = parser.add_argument_group("any timm model, with timm's own preprocessing")
    plain.add_argument("--timm", metavar="NAME", help="its name; pooled features are embedded")
    plain.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help=".safetensors file or checkpoint of torch.save, of which tensors alone are read "
        "(default: the published weights, from the hub)",
    )
    plain.add_argument(
        "--folder", type=Path, help="one folder a class, with pictures at any depth below"
    )
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto"
    )
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Embed."""
    of_run = [arguments.run, arguments.manifest, arguments.images]
    of_timm = [arguments.timm, arguments.folder]
    if all(of_run) == all(of_timm) or (any(of_run) and any(of_timm)):
        raise UserError(
            "give --run with --manifest and --images, or --timm with --folder; --help says what "
            "they are"
        )
    from tcmbench.common.devices import claim_device
    from tcmbench.embedding import embed, embed_photos

    device = claim_device(arguments.device)
    if arguments.timm:
        embed_photos(arguments.timm, arguments.weights, arguments.folder, arguments.out, device)
    else:
        embed(
            arguments.run,
            arguments.manifest,
            arguments.images,
            arguments.out,
            device,
            arguments.view,
        )
