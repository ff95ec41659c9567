"""Fifty faults: processes of a workflow killed at random moments.

PYTHONPATH=src python -m tests.faults [--kills N] [--first SEED] [--folder FOLDER]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults.kills import fault
from tests.faults.suite import Suite
from tests.workflow.checkout import Checkout, fresh_checkout


def main() -> int:
    """Make the faults, a line each; return 1 where one left a trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--folder", type=Path, help="checkout to use or make (default: temporary)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary) / "tcm-bench").absolute()
        suite = Suite.finished(Checkout(folder) if folder.exists() else fresh_checkout(folder))
        bad = 0
        for seed in range(arguments.first, arguments.first + arguments.kills):
            outcome = fault(suite, seed)
            print(outcome, flush=True)
            bad += bool(outcome.half or outcome.differences)
    print(f"{arguments.kills} processes killed, {bad} left a trace")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
