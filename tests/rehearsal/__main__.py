"""The paper suite rehearsed: all of it, at full scale, with tiny pictures and a few steps.

PYTHONPATH=src python -m tests.rehearsal --help
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT
from tests.rehearsal.overlay import OVERLAY, rehearsal
from tests.rehearsal.server import serving

AXES = ("datasets", "backbones", "losses")
COMMAND = [
    *("snakemake", "--cores", "all", "--rerun-incomplete", "--quiet", "rules", "host"),
    *("--configfile", OVERLAY, "--config", "suite=paper"),
]


def main() -> int:
    """Publish, copy, serve and run; return Snakemake's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--share", type=float, default=1, help="of the published classes and images (default: all)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where everything goes (default: results/rehearsal-SHARE)"
    )
    for axis in AXES:
        parser.add_argument(f"--{axis}", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("options", nargs="*", help="targets and options of Snakemake, behind --")
    arguments = parser.parse_args()
    chosen = {axis: getattr(arguments, axis) for axis in AXES if getattr(arguments, axis)}
    folder = arguments.folder or ROOT / f"results/rehearsal-{arguments.share:g}"
    published = folder.absolute() / "published"
    published.mkdir(parents=True, exist_ok=True)
    with serving(published) as server:
        copy = published.with_name("tcm-bench")
        checkout = rehearsal(copy, published, server.url, arguments.share, chosen)
        return subprocess.run(
            # Before --config, which takes all words that follow.
            [COMMAND[0], *arguments.options, *COMMAND[1:]],
            cwd=checkout.folder,
            env=environment(published, server.url),
            check=False,
        ).returncode


def environment(published: Path, url: str) -> dict[str, str]:
    """Return the environment of Snakemake: where the hub is, and no proxy on the way there."""
    hub = {"HF_ENDPOINT": url, "HF_HOME": str(published.parent / "hub"), "HF_HUB_OFFLINE": "0"}
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return usual | hub | {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


if __name__ == "__main__":
    sys.exit(main())
