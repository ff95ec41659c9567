"""Ask every mirror of every dataset whether it still has its file; nothing is downloaded.

python src/check_links.py [--dataset NAME] [--json FILE] [--timeout SECONDS]
"""

import argparse
import sys
from pathlib import Path

from tcmbench.common.commands import run_command


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description="Ask every mirror of src/tcmbench/datasets/mirrors.toml for its file's size, "
        "without fetching it, and print a table. Exit code 1 if a file that has mirrors has none "
        "that works. Proxies are taken from the environment."
    )
    described.add_argument("--dataset", help="only this one (default: all)")
    described.add_argument("--json", type=Path, help="also write the table to this file")
    described.add_argument(
        "--timeout", type=float, default=30.0, help="patience with a mirror, seconds (default: 30)"
    )
    return described


def command(arguments: argparse.Namespace) -> None:
    """Print the table, and leave with 1 where a file cannot be had."""
    from dataclasses import asdict

    from tcmbench.common.files import write_json
    from tcmbench.datasets import load, names
    from tcmbench.download.links import check, table, unreachable

    chosen = [arguments.dataset] if arguments.dataset else names()
    links = check({name: load(name) for name in chosen}, arguments.timeout)
    print(table(links))
    if arguments.json:
        write_json(arguments.json, [asdict(link) for link in links])
    if lost := unreachable(links):
        print(f"no mirror works for {', '.join(lost)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_command(parser(), command)
