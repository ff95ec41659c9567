"""Check a bundle: measure its embeddings again, and compare every fingerprint."""

import argparse
from pathlib import Path

from tcmbench.common.errors import UserError

CONFIG = Path("config.yaml")


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(
        description=f"{__doc__} Exit code 2 where anything does not hold."
    )
    add = root.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="as 'tcmbench bundle' made it")
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration to compare with (default: ./config.yaml, if it is there)",
    )
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="also write the rows of a bundle that holds into this folder, such as "
        "results/contributed",
    )
    where = "where to measure (default: cuda where there is one)"
    add("--device", choices=("cpu", "cuda"), help=where)
    return root


def command(arguments: argparse.Namespace) -> None:
    """Print what holds, and refuse a bundle in which something does not."""
    from tcmbench.bundles.text import verdict_text
    from tcmbench.bundles.verify import verify
    from tcmbench.common.devices import claim_kind
    from tcmbench.tables.contributed import write_contribution

    config = arguments.config or (CONFIG if CONFIG.is_file() else None)
    verdict = verify(arguments.bundle, config, claim_kind(arguments.device))
    print(verdict_text(verdict))
    if verdict.contribution is None:
        first, more = verdict.failures[0], len(verdict.failures) - 1
        others = f" ({more} more above)" if more else ""
        raise UserError(
            f"{arguments.bundle} is refused: {first.run}: {first.question}: {first.detail}{others}"
        )
    if arguments.out:
        print(f"written: {write_contribution(verdict.contribution, arguments.out)}")
