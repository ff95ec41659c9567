"""Decode the test images of a dataset once, for all runs.

python src/view.py --manifest FILE.csv --images FOLDER --resize 256 --crop 224 --out FILE.npy
"""

import argparse
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    description = "Resize and crop the images of a manifest into one file that embed.py reads."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--manifest", type=Path, required=True, help="CSV with path, label, class_name"
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="folder that the manifest's paths start from"
    )
    parser.add_argument("--resize", type=int, default=256, help="short side, pixels; default: 256")
    parser.add_argument("--crop", type=int, default=224, help="side, pixels; default: 224")
    parser.add_argument("--out", type=Path, required=True, help=".npy file to write")
    return parser


def command(arguments: argparse.Namespace) -> None:
    """Write the file."""
    from tcmbench.images.views import write_view

    write_view(
        arguments.manifest, arguments.images, arguments.resize, arguments.crop, arguments.out
    )


if __name__ == "__main__":
    run_command(parser(), command)
